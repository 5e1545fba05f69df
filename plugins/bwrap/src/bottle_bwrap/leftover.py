"""What is found of launches: the bottles that run, and what crashed ones left."""

import os
import select
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from bottle_bwrap import uids
from bottle_bwrap.bottle import BwrapBottle
from bottle_bwrap.cgroup import remove_cgroups
from bottle_bwrap.channel import SOCKET, Channel, connect, relayed
from bottle_bwrap.record import Process, Record, hidden_owner_alive, records, remove_folder

__all__ = ["Leftover", "Leftovers", "find_bottles", "find_leftovers", "remove_leftovers"]


class Leftover(Struct, frozen=True, kw_only=True):
    """One dead launch, or one uid that nobody holds (`uid`)."""

    folder: Path | None = None
    record: Record | None = None
    uid: int | None = None

    def lines(self) -> Iterator[str]:
        """Yield one line for each thing of it that is still there."""
        if self.uid is not None:
            yield f"folder {uids.FOLDERS / str(self.uid)}"
        for process in self.record.processes if self.record else ():
            if process.alive():
                yield f"process {process.pid}"
        for group in self.record.cgroups if self.record else ():
            if Path(group).exists():
                yield f"control group {group}"
        if self.folder is not None:
            yield f"folder {self.folder}"


class Leftovers(Struct, frozen=True):
    """All that dead launches of this user left."""

    found: tuple[Leftover, ...] = ()

    def lines(self) -> Sequence[str]:
        """See `seam.cleanup.CleanupPlan`."""
        return [line for leftover in self.found for line in leftover.lines()]


def find_bottles() -> Sequence[BwrapBottle]:
    """Return a handle for each bottle of this user whose launch lives, whoever of its terminals asks."""
    return [
        handle(folder, record)
        for folder, record in records()
        if record is not None and record.launch.owner.alive() and (folder / SOCKET).exists()
    ]


def handle(folder: Path, record: Record) -> BwrapBottle:
    """Return a bottle as another process than its own has it."""
    channel = Channel(record.name, relayed(folder))
    return BwrapBottle(record, channel, alive=lambda: answers(folder), end=lambda: end_launch(folder, record))


def answers(folder: Path) -> bool:
    """Say whether somebody serves the socket in a bottle's folder."""
    try:
        connect(folder).close()
    except OSError:
        return False
    return True


def end_launch(folder: Path, record: Record) -> None:
    """Ask the launch to take itself down, wait until it has, and sweep what it could not. Idempotent."""
    record.launch.owner.end(f"the launch of {record.name}")
    sweep(folder, record)


def find_leftovers() -> Leftovers:
    """Return what dead launches left. A launch of another machine, or of which we know nothing, is not among them."""
    found = [
        Leftover(folder=folder, record=record)
        for folder, record in records()
        if (not hidden_owner_alive(folder) if folder.name.startswith(".") else is_dead(record))
    ]
    return Leftovers((*found, *(Leftover(uid=uid) for uid in stale_uids())))


def is_dead(record: Record | None) -> bool:
    """Say whether the launch of a record has ended; False where that cannot be known."""
    return record is not None and record.launch.owner.alive() is False


def stale_uids() -> Iterator[int]:
    """Yield the uids whose folders nobody holds."""
    if os.getuid() == 0 and uids.FOLDERS.is_dir():
        for path in sorted(uids.FOLDERS.iterdir()):
            if path.name.isdigit() and uids.is_stale(int(path.name)):
                yield int(path.name)


def remove_leftovers(plan: Leftovers) -> None:
    """Remove what was listed, as far as it is still there and still dead."""
    for leftover in plan.found:
        if leftover.uid is not None:
            uids.remove_lease(leftover.uid)
        elif leftover.folder is not None and (leftover.record is None or is_dead(leftover.record)):
            sweep(leftover.folder, leftover.record)


def sweep(folder: Path, record: Record | None) -> None:
    """Kill the processes of a launch that is over, and remove its groups and its folder. Idempotent."""
    if record is not None:
        for process in record.processes:
            kill(process)
        remove_cgroups([Path(group) for group in record.cgroups])
    remove_folder(folder)


def kill(process: Process) -> None:
    """Kill a process if it is still the one that was meant, and wait until it is gone."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        if process.alive():
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [], 2.0)
    finally:
        os.close(pidfd)
