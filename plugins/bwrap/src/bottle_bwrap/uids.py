"""Host uids that nobody else has, leased by root to its bottles: one to the sandbox, one to the proxy."""

import fcntl
import grp
import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from claude_bottle.errors import UnavailableError

__all__ = ["FOLDERS", "Lease", "free_uids", "is_stale", "lease_uids", "remove_lease"]

FOLDERS = Path("/run/claude-bottle-uids")
"""One folder for each uid in use, the same for every root of this machine, whatever its XDG folders."""
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# Unused according to systemd's table of uids (UIDS-GIDS.md): the first above those that containers are
# given, the second for machines and containers that have no more than 65536.
RANGES = (range(1_879_100_000, 1_879_110_000), range(60_578, 61_184))


class Lease:
    """A uid that is ours as long as this object is open; the group has the same number.

    `folder` is root's, and nobody but root and this uid can enter it: here lies what a process of this uid
    has to find by a path. That it is locked is what makes the uid ours.
    """

    def __init__(self, uid: int, lock: int) -> None:
        self.uid = uid
        self.folder = FOLDERS / str(uid)
        self._lock = lock

    def close(self) -> None:
        """Give it back. Idempotent."""
        if self._lock >= 0:
            # Removed while it is locked: who opened it before sees in `take_lock` that it is gone.
            clear(self.folder)
            self.folder.rmdir()
            os.close(self._lock)
            self._lock = -1


def lease_uids(count: int) -> tuple[Lease, ...]:
    """Return so many free uids; UnavailableError if this machine has fewer to give."""
    FOLDERS.mkdir(mode=0o711, exist_ok=True)
    FOLDERS.chmod(0o711)
    with ExitStack() as undo:
        found: list[Lease] = []
        for uid in free_uids():
            if (lock := take_lock(uid)) is not None:
                found.append(Lease(uid, lock))
                undo.callback(found[-1].close)
            if len(found) == count:
                undo.pop_all()
                return tuple(found)
    raise UnavailableError(
        "root cannot drop to an unused uid here: too few are mapped and free",
        "run as a plain user, or in a user namespace that maps 65536 uids",
    )


def free_uids() -> Iterator[int]:
    """Yield uids that are mapped here, and that neither passwd, group nor any process has."""
    used = uids_of_processes()
    for candidates in RANGES:
        for uid in candidates:
            if is_mapped(uid) and uid not in used and not is_named(uid):
                yield uid


def take_lock(uid: int) -> int | None:
    """Return a descriptor that holds the lock of a uid, None if someone else holds it."""
    path = FOLDERS / str(uid)
    path.mkdir(mode=0o700, exist_ok=True)
    fd = -1
    try:
        fd = os.open(path, FOLDER)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(fd).st_ino:
            clear(path)  # a launch that was killed may have had it
            os.fchown(fd, 0, uid)
            os.fchmod(fd, 0o710)
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    if fd >= 0:
        os.close(fd)
    return None


def clear(folder: Path) -> None:
    """Remove what is in a folder of ours."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def is_stale(uid: int) -> bool:
    """Say whether there is a folder for a uid that nobody holds."""
    try:
        fd = os.open(FOLDERS / str(uid), FOLDER)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(fd)


def remove_lease(uid: int) -> None:
    """Remove what a dead launch left of a uid; one that is held stays."""
    if is_stale(uid) and (fd := take_lock(uid)) is not None:
        Lease(uid, fd).close()


def is_mapped(uid: int) -> bool:
    """Say whether this user namespace knows a uid."""
    lines = (line.split() for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines())
    return any(int(first) <= uid < int(first) + int(count) for first, _, count in lines)


def is_named(uid: int) -> bool:
    """Say whether a user or a group has this number."""
    for look in (pwd.getpwuid, grp.getgrgid):
        try:
            look(uid)
        except KeyError:
            continue
        return True
    return False


def uids_of_processes() -> set[int]:
    """Return every uid that some process has: real, effective, saved or for files."""
    found: set[int] = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "status").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # it ended
            found |= {int(word) for line in status.splitlines() if line.startswith("Uid:") for word in line.split()[1:]}
    return found
