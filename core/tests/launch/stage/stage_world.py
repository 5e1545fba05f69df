"""The world of the stage: what was done, in order, as a file that any process can read.

The environment steers it. `STAGE_WORLD` is its folder; `STAGE_FAIL` names a step that fails, in the way of
`STAGE_HOW`; `STAGE_PAUSE` names a step that takes `PAUSE` seconds; `STAGE_LEAK` names a hole in the walls.
"""

import os
import sys
import time
from pathlib import Path

from claude_bottle.errors import BottleError

__all__ = ["PAUSE", "leak", "note", "step"]

PAUSE = 0.6


def note(line: str) -> None:
    """Append a line to the journal, in one write."""
    with Path(os.environ["STAGE_WORLD"], "journal").open("a", encoding="utf-8") as journal:
        journal.write(f"{line}\n")


def leak() -> str:
    """Return the hole in the walls, if there is one."""
    return os.environ.get("STAGE_LEAK", "")


def step(name: str) -> None:
    """Note a step; wait in it or fail in it where the environment says so."""
    note(name)
    if os.environ.get("STAGE_PAUSE") == name:
        note(f"in {name}")
        time.sleep(PAUSE)
    if os.environ.get("STAGE_FAIL") == name:
        match os.environ.get("STAGE_HOW", "refuse"):
            case "crash":
                raise RuntimeError(f"{name} crashed")
            case "system":
                raise OSError(28, f"{name} found no space")
            case "exit":
                sys.exit(0)
            case "hang":
                time.sleep(30)
            case _:
                raise BottleError(f"{name} refused", "the hint of the stage")
