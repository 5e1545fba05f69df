"""Folders for one task, in the user's cache: ours while we live, and a cleanup's once we are dead."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from claude_bottle.seam.folders import cache_dir, private_dir

__all__ = ["Leftovers", "find_leftovers", "held_folder", "remove_leftovers"]

PREFIX = "scratch-"


@contextmanager
def held_folder() -> Generator[Path]:
    """Make a folder that is ours for as long as its lock is held: the kernel lets go of that when we die."""
    folder = private_dir(place())
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
        lock = take_lock(path)
        if lock is not None:  # else a cleanup was between the two, and has removed it
            break
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


class Leftovers(Struct, frozen=True):
    """Folders that nobody holds."""

    folders: tuple[Path, ...] = ()

    def lines(self) -> Sequence[str]:
        """See `seam.cleanup.CleanupPlan`."""
        return [f"folder {path}" for path in self.folders]


def find_leftovers() -> Leftovers:
    """Return what launches left that are gone."""
    found: list[Path] = []
    for path in sorted(place().glob(f"{PREFIX}*")):
        lock = take_lock(path)
        if lock is not None:
            found.append(path)
            os.close(lock)
    return Leftovers(tuple(found))


def remove_leftovers(found: Leftovers) -> None:
    """Remove them; what somebody holds by now stays."""
    for path in found.folders:
        lock = take_lock(path)
        if lock is not None:
            shutil.rmtree(path)
            os.close(lock)


def place() -> Path:
    """Return where they are (not made)."""
    return cache_dir() / "git"


def take_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock of a folder; None if somebody has it, or it is gone."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():
            return lock
    except BlockingIOError:
        pass
    os.close(lock)
    return None
