"""The Python that runs the agent server inside: the host's own in /usr, else the one that runs us."""

import re
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["CURE", "Interpreter", "find_interpreter", "is_reachable"]

OLDEST = (3, 9)
PLACE = "/.bottle/python"
CURE = "install python3 (3.9 or newer) with the system's packages, or run as a plain user"


class Interpreter(NamedTuple):
    """`path` as it is inside; `prefix`, where there is one, is a folder of the host to bind at PLACE."""

    path: str
    prefix: Path | None = None


def find_interpreter(system: Path = Path("/usr/bin/python3")) -> Interpreter:
    """Return the system's interpreter where it is whole and new enough, else ours.

    Whole: some distributions split the standard library, and ctypes goes first.
    """
    real = system.resolve()
    found = re.fullmatch(r"python(\d+)\.(\d+)", real.name)
    if found is not None and (int(found[1]), int(found[2])) >= OLDEST:
        libraries = (real.parent.parent / lib / real.name for lib in ("lib", "lib64"))
        if any((library / "ctypes/__init__.py").is_file() for library in libraries):
            return Interpreter(str(real))
    prefix = Path(sys.base_prefix).resolve()
    name = f"bin/python{sys.version_info.major}.{sys.version_info.minor}"
    if prefix.is_relative_to("/usr"):
        return Interpreter(str(prefix / name))
    return Interpreter(f"{PLACE}/{name}", prefix)


def is_reachable(python: Interpreter) -> bool:
    """Say whether a uid that is nobody's can run an interpreter.

    bubblewrap looks for a source by its path with the uid that it has, also one that it is given open.
    """
    folder = python.prefix
    if folder is None:
        return True
    can_enter = all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))
    return can_enter and bool(folder.stat().st_mode & 0o004)
