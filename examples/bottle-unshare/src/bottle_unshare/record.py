"""What a launch writes down of its bottle: any other terminal finds it there, and a cleanup what the dead left."""

import os
import select
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from claude_bottle.errors import LaunchError
from claude_bottle.seam.folders import private_dir, runtime_dir
from claude_bottle.seam.names import candidates, taken_message
from claude_bottle.seam.owner import Launch, start_time
from msgspec import Struct

__all__ = ["Leftovers", "Record", "claim", "find_leftovers", "records"]

FILE = "launch.json"
PATIENCE = 5.0


class Record(Struct, frozen=True, kw_only=True):
    """One launch; `pid` is the bottle's PID 1 as this machine counts, and `start` when that began. No secret."""

    name: str
    slug: str
    launch: Launch
    pid: int = 0
    start: int = 0

    @property
    def folder(self) -> Path:
        """What the launch has on this machine."""
        return top() / self.name

    def runs(self) -> bool:
        """Whether its PID 1 lives, and is no other process that has its number by now."""
        return self.pid != 0 and start_time(self.pid) == self.start

    def write(self) -> None:
        """Put it in the folder, whole or not at all."""
        write(self.folder, self)

    def sweep(self) -> None:
        """End the bottle, with all that runs in it, and remove the folder. Idempotent."""
        with suppress(ProcessLookupError):
            if self.runs():
                pidfd = os.pidfd_open(self.pid)
                try:
                    if self.runs():  # looked at again: now the descriptor is known to be its
                        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                        select.select([pidfd], [], [], PATIENCE)
                finally:
                    os.close(pidfd)
        shutil.rmtree(self.folder, ignore_errors=True)


def top() -> Path:
    """Return the folder with one folder for each bottle of this user (not made)."""
    return runtime_dir() / "unshare"


def claim(slug: str, launch: Launch) -> Record:
    """Make a folder under the first name that is free, with its record in it from the beginning."""
    private_dir(runtime_dir())
    made = private_dir(top()) / f".{launch.label}"
    made.mkdir(mode=0o700)
    try:
        for name in candidates(f"claude-bottle-{slug}"):
            record = Record(name=name, slug=slug, launch=launch)
            write(made, record)
            with suppress(OSError):  # a folder with something in it is never replaced
                made.rename(record.folder)
                return record
        raise LaunchError(taken_message(f"claude-bottle-{slug}"), "stop one of them, or run `bottle cleanup`")
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write(folder: Path, record: Record) -> None:
    """Write a record, or replace it."""
    part = folder / f"{FILE}.part"
    part.write_bytes(msgspec.json.encode(record))
    part.replace(folder / FILE)


def records() -> Iterator[Record]:
    """Yield the record of each launch of this user."""
    for path in sorted(top().glob(f"*/{FILE}")):
        with suppress(OSError, msgspec.DecodeError):
            yield msgspec.json.decode(path.read_bytes(), type=Record)


class Leftovers(Struct, frozen=True):
    """What dead launches left."""

    found: tuple[Record, ...] = ()

    def lines(self) -> Sequence[str]:
        """Return one line for each process and folder."""
        processes = [f"process {it.pid} of {it.name}" for it in self.found if it.runs()]
        return [*processes, *(f"folder {it.folder}" for it in self.found)]


def find_leftovers() -> Leftovers:
    """Return the records whose owner has ended; one of another machine is none of ours."""
    return Leftovers(tuple(it for it in records() if it.launch.owner.alive() is False))
