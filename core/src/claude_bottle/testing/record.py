"""What the kit's own backend writes down of a launch: any other terminal finds it there, and a cleanup the dead."""

import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from claude_bottle.errors import LaunchError
from claude_bottle.seam.folders import private_dir, runtime_dir
from claude_bottle.seam.names import candidates, taken_message
from claude_bottle.seam.owner import Launch, start_time

__all__ = ["LocalLeftovers", "Record", "claim", "end_all", "records", "remove"]

FILE = "launch.json"


class Record(Struct, frozen=True, kw_only=True):
    """One launch; `pid` is the process that stands for its bottle, and `start` when that began. No secret."""

    name: str
    slug: str
    launch: Launch
    pid: int = 0
    start: int = 0

    @property
    def folder(self) -> Path:
        """What the launch has on this machine."""
        return top() / self.name

    def mark(self, of: Literal["bottle", "sidecar"]) -> Mapping[str, str]:
        """Return a variable of every process that is begun there: by it they are found, and ended."""
        return {f"LOCAL_{of.upper()}": self.launch.label}

    def runs(self) -> bool:
        """Whether its process lives, and is no other one that has its number by now."""
        return self.pid != 0 and start_time(self.pid) == self.start

    def write(self, folder: Path | None = None) -> None:
        """Put it in the folder, whole or not at all."""
        file = (folder or self.folder) / FILE
        part = file.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(self))
        part.replace(file)

    def sweep(self) -> None:
        """End whatever was begun here, and remove the folder. Idempotent."""
        end_all(self.mark("bottle"))
        end_all(self.mark("sidecar"))
        remove(self.folder)


class LocalLeftovers(Struct, frozen=True):
    """The launches whose owner has ended."""

    found: tuple[Record, ...] = ()

    def lines(self) -> Sequence[str]:
        """Return one line for each folder."""
        return [f"folder {it.folder}" for it in self.found]


def top() -> Path:
    """Return the folder with one folder for each bottle of this user (not made)."""
    return runtime_dir() / "local"


def claim(slug: str, launch: Launch) -> Record:
    """Make a folder under the first name that is free, with its record in it from the beginning."""
    private_dir(runtime_dir())
    made = private_dir(top()) / f".{launch.label}"
    made.mkdir()
    try:
        for name in candidates(f"claude-bottle-{slug}"):
            record = Record(name=name, slug=slug, launch=launch)
            record.write(made)
            with suppress(OSError):  # a folder with something in it is never replaced
                made.rename(record.folder)
                return record
        raise LaunchError(taken_message(f"claude-bottle-{slug}"), "stop one of them, or run `bottle cleanup`")
    finally:
        shutil.rmtree(made, ignore_errors=True)


def records() -> Iterator[Record]:
    """Yield the record of each launch of this user."""
    for path in sorted(top().glob(f"*/{FILE}")):
        with suppress(OSError, msgspec.DecodeError):
            yield msgspec.json.decode(path.read_bytes(), type=Record)


def end_all(mark: Mapping[str, str]) -> None:
    """Kill every process that has this variable in its environment, and those that they begin meanwhile."""
    [word] = (os.fsencode(f"{name}={value}") for name, value in mark.items())
    while found := [pid for pid in _pids() if word in _environment(pid)]:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").glob("[0-9]*"))


def _environment(pid: int) -> Sequence[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it has gone, or is somebody else's
        return ()


def remove(folder: Path) -> None:
    """Remove a folder with all below it, also what a command made read-only; one that is not there is none."""
    for place, names, _ in os.walk(folder):
        for below in (Path(place, name) for name in names):
            if not below.is_symlink():
                below.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
