"""What core itself needs of this machine: room, a clock that is right, and that `bottle` is us."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from claude_bottle.seam.folders import cache_dir, state_dir
from claude_bottle.seam.probe import Finding

__all__ = ["Machine", "look_at_machine", "this_machine"]

GIB = 1024**3
ROOM = 0.5 * GIB
"""Bytes that should be free: events, images that are built, and files of bottles go there."""

DAY = 86400
YEARS = 10 * 365 * DAY
"""Seconds after its installation from which on a program is less likely to run than a clock to be wrong."""

HEAD = 8192
"""Bytes at the beginning of a program in which a script of ours names its package."""


class Machine(NamedTuple):
    """What is looked at: seconds since the epoch, when this program was installed, folders, programs.

    `bottle` is the first program of that name on PATH, None if there is none, `ours` the folder of our own.
    """

    now: float
    installed: float
    state: Path
    cache: Path
    bottle: str | None
    ours: str


def this_machine() -> Machine:
    """Return this machine's facts."""
    installed = Path(__file__).stat().st_mtime
    return Machine(time.time(), installed, state_dir(), cache_dir(), shutil.which("bottle"), _scripts())


def look_at_machine(machine: Machine) -> tuple[Finding, ...]:
    """Return what is right and wrong, each wrong with its cure."""
    return (*_room(machine), _clock(machine), _program(machine))


def _scripts() -> str:
    return os.path.realpath(Path(sys.executable).parent)


def _room(machine: Machine) -> Iterator[Finding]:
    """Look at each folder's file system, once where they share one."""
    seen: set[int] = set()
    for folder, variable in ((machine.state, "XDG_STATE_HOME"), (machine.cache, "XDG_CACHE_HOME")):
        place = next(it for it in (folder, *folder.parents) if it.is_dir())
        device = place.stat().st_dev
        if device in seen and os.access(place, os.W_OK):
            continue
        seen.add(device)
        free = shutil.disk_usage(place).free
        detail, cure = f"{free / GIB:.1f} GiB in {folder}", f"free some, or set {variable} to a folder that has more"
        if not os.access(place, os.W_OK):
            detail, cure = f"{folder} cannot be written", f"make {place} yours, or set {variable}"
            yield Finding(what="room", ok=False, detail=detail, cure=cure)
        else:
            yield Finding(what="room", ok=free >= ROOM, detail=detail, cure=cure)


def _clock(machine: Machine) -> Finding:
    """Compare with when this program's files were written: a clock before that, or years after, is wrong."""
    shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(machine.now))
    installed = time.strftime("%Y-%m-%d", time.gmtime(machine.installed))
    cure = "set the clock: a proxy refuses certificates that are not valid yet, or no more"
    if machine.now < machine.installed - DAY:
        return Finding(what="clock", ok=False, detail=f"{shown} is before this was installed, {installed}", cure=cure)
    if machine.now > machine.installed + YEARS:
        return Finding(what="clock", ok=False, detail=f"{shown} is years after this was installed", cure=cure)
    return Finding(what="clock", ok=True, detail=shown)


def _program(machine: Machine) -> Finding:
    """Say which `bottle` a shell would run; a web framework has a program of that name, too."""
    what, found = "`bottle` on PATH", machine.bottle
    if found is None:
        return Finding(what=what, ok=True, detail="none")
    places = {os.path.realpath(Path(found).parent), str(Path(os.path.realpath(found)).parent)}
    if machine.ours in places:
        return Finding(what=what, ok=True, detail=found)
    cure = f"put {machine.ours} first on PATH, or call it claude-bottle"
    if b"claude_bottle" in _head(found):
        return Finding(what=what, ok=False, detail=f"{found} is another installation of this program", cure=cure)
    return Finding(what=what, ok=False, detail=f"{found} is another program", cure=cure)


def _head(program: str) -> bytes:
    try:
        with Path(program).open("rb") as stream:
            return stream.read(HEAD)
    except OSError:
        return b""
