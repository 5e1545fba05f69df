"""The note that a running launch leaves for other terminals: who owns it, and where it listens for them."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from claude_bottle.seam.folders import private_dir, runtime_dir
from claude_bottle.seam.owner import Owner

__all__ = ["LaunchRecord", "dead_labels", "forget", "live_records", "record_folder", "write_record"]


class LaunchRecord(Struct, frozen=True, kw_only=True):
    """One launch. `argv` is its agent, for `attach`; `manifest` is the file that `allow --save` writes to."""

    label: str
    owner: Owner
    agent: str
    bottle: str
    bottle_section: str
    backend: str
    proxy: str
    started: float
    detach: bool
    argv: tuple[str, ...]
    manifest: str

    @property
    def socket(self) -> Path:
        """Where the launcher listens for other terminals."""
        return record_folder() / f"{self.label}.sock"


def record_folder() -> Path:
    """Return the folder of all records (not made)."""
    return runtime_dir() / "launches"


def write_record(record: LaunchRecord) -> None:
    """Write a record whole, for this user alone."""
    folder = private_dir(private_dir(runtime_dir()) / "launches")
    path = folder / f"{record.label}.json"
    descriptor = os.open(path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(record))
    path.with_suffix(".new").rename(path)


def forget(label: str) -> None:
    """Remove a launch's record and socket."""
    for suffix in (".json", ".new", ".sock"):
        (record_folder() / f"{label}{suffix}").unlink(missing_ok=True)


def live_records() -> Iterator[LaunchRecord]:
    """Yield the records of launches whose owner runs, the oldest first."""
    yield from sorted((record for record in all_records() if record.owner.alive()), key=lambda record: record.started)


def dead_labels() -> list[str]:
    """Return the labels of launches whose owner is gone, and of records that cannot be read."""
    found = {path.name.partition(".")[0] for path in record_folder().glob("*.*")}  # first: one may begin meanwhile
    alive = {record.label for record in all_records() if record.owner.alive() is not False}
    return sorted(found - alive)


def all_records() -> Iterator[LaunchRecord]:
    """Yield every record that can be read."""
    for path in record_folder().glob("*.json"):
        try:
            yield msgspec.json.decode(path.read_bytes(), type=LaunchRecord)
        except (OSError, msgspec.DecodeError):
            continue
