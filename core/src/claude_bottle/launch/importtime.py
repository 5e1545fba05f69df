"""Who imports what, and how long it takes: a module imported in a fresh interpreter that measures itself."""

import re
import subprocess
import sys

from msgspec import Struct

from claude_bottle.errors import BottleError, DeadlineError
from claude_bottle.launch.examine import LOAD_DEADLINE, STARTING

__all__ = ["Imported", "measure_import"]

LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)")
MARK = "import time: here it begins"
# Not by importlib, whose imports Python does not measure.
CODE = f"import sys\nimport {STARTING}\nprint('{MARK}', file=sys.stderr)\n__import__(sys.argv[1])"


class Imported(Struct, frozen=True):
    """A module that an import brought: below what it was imported, and its milliseconds, with and without its own."""

    module: str
    depth: int
    own: float
    total: float


def measure_import(target: str, deadline: float = LOAD_DEADLINE) -> tuple[Imported, ...]:
    """Return what the module of `target` (`module:attribute`) imports beside what a launch has, importers first.

    BottleError if it cannot be imported.
    """
    module = target.partition(":")[0].strip()
    argv = [sys.executable, "-P", "-X", "importtime", "-c", CODE, module]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=deadline)
    except subprocess.TimeoutExpired as error:
        raise DeadlineError(f"its import did not end within {deadline:g} s") from error
    if done.returncode != 0:
        raise BottleError(f"{module} cannot be imported")
    lines = done.stderr.decode(errors="replace").partition(MARK)[2].splitlines()
    found = [_read(match) for match in map(LINE.fullmatch, lines) if match]
    return tuple(reversed(found))


def _read(match: re.Match[str]) -> Imported:
    own, total = int(match[1]) / 1000, int(match[2]) / 1000
    return Imported(match[4], len(match[3]) // 2, own, total)
