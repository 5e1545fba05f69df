"""What a launch writes down beside its bottle, so that any other terminal finds it and `cleanup` knows the dead."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from claude_bottle.errors import LaunchError
from claude_bottle.seam.folders import private_dir, runtime_dir
from claude_bottle.seam.names import candidates, taken_message
from claude_bottle.seam.owner import Launch, start_time

__all__ = [
    "Process",
    "Record",
    "claim_folder",
    "hidden_folder",
    "hidden_owner_alive",
    "read_record",
    "records",
    "remove_folder",
    "sites_dir",
    "write_record",
]

FILE, PART = "launch.json", "launch.json.part"


class Process(Struct, frozen=True):
    """A process of a launch; `start` as in `Owner`, so that no reuse of its pid is mistaken for it."""

    pid: int
    start: int

    @classmethod
    def find(cls, pid: int) -> "Process":
        """Return a process that runs now; `start` is -1, which nothing has, if it ended already."""
        start = start_time(pid)
        return cls(pid, -1 if start is None else start)

    def alive(self) -> bool:
        """Say whether it still runs."""
        return start_time(self.pid) == self.start


class Record(Struct, frozen=True, kw_only=True):
    """One launch: who it is for, whose it is, and everything outside its folder that has to go with it."""

    name: str
    slug: str
    bottle: str
    launch: Launch
    processes: tuple[Process, ...] = ()
    cgroups: tuple[str, ...] = ()


def sites_dir() -> Path:
    """Return the folder that holds one folder for each bottle of this user (not made)."""
    return runtime_dir() / "bwrap"


def claim_folder(slug: str, bottle: str, launch: Launch) -> tuple[Path, Record]:
    """Make a bottle's folder under the first name that is free, its record already in it.

    LaunchError if every candidate is taken. Whoever comes first has the name: a folder with a record in it
    cannot be renamed over another one.
    """
    private_dir(runtime_dir())
    top = private_dir(sites_dir())
    made = hidden_folder(top)
    made.mkdir(mode=0o700)
    try:
        return _claim(made, slug, bottle, launch)
    except BaseException:  # a signal too: nobody else knows of a folder that has no name yet
        (made / FILE).unlink(missing_ok=True)
        (made / PART).unlink(missing_ok=True)
        made.rmdir()
        raise


def _claim(made: Path, slug: str, bottle: str, launch: Launch) -> tuple[Path, Record]:
    base, top = f"claude-bottle-{slug}", made.parent
    for name in candidates(base):
        record = Record(name=name, slug=slug, bottle=bottle, launch=launch)
        write_record(made, record)
        try:
            made.rename(top / name)
        except OSError:
            if not (top / name).exists():
                raise
            continue
        return top / name, record
    raise LaunchError(taken_message(base), "stop one of them, or run `bottle cleanup`")


def hidden_folder(top: Path) -> Path:
    """Return a name for a folder that is not yet or no longer a bottle's: it says which process is at it."""
    me = Process.find(os.getpid())
    return top / f".{me.pid}-{me.start}-{os.urandom(4).hex()}"


def hidden_owner_alive(folder: Path) -> bool:
    """Say whether the process that is at work on a hidden folder still runs."""
    found = re.fullmatch(r"\.(\d+)-(\d+)-[0-9a-f]+", folder.name)
    return found is None or Process(int(found[1]), int(found[2])).alive()


def remove_folder(folder: Path) -> None:
    """Remove a bottle's folder: its name is free at once, and no half of it is ever taken for a bottle. Idempotent."""
    import shutil  # noqa: PLC0415 - needed at the end alone

    if folder.exists():
        doomed = hidden_folder(folder.parent)
        folder.rename(doomed)
        shutil.rmtree(doomed)


def write_record(folder: Path, record: Record) -> None:
    """Write or replace a folder's record, whole or not at all, for its owner alone. LaunchError if that fails."""
    part = folder / PART
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(record))
        part.replace(folder / FILE)
    except OSError as error:
        raise LaunchError(f"{folder.parent} cannot be written: {error.strerror}", "see that there is room") from error


def read_record(folder: Path) -> Record | None:
    """Return a folder's record; None if there is none, or if it is not one."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None


def records() -> Iterator[tuple[Path, Record | None]]:
    """Yield every folder below `sites_dir()` with its record, half-made ones too, by name."""
    top = sites_dir()
    if top.is_dir():
        for folder in sorted(top.iterdir()):
            yield folder, read_record(folder)
