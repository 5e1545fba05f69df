"""What the last load of each plugin found, kept for `bottle plugins list`, which loads nothing."""

import time
from collections.abc import Mapping
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from claude_bottle.errors import BottleError
from claude_bottle.manifest.types import nothing
from claude_bottle.plugins.record import Outcome, Record
from claude_bottle.plugins.trust import fingerprint
from claude_bottle.seam.store import Store

__all__ = ["Memory"]

KEPT = 200
"""Outcomes in the file; the oldest go first."""


class _Remembered(Struct, frozen=True, kw_only=True):
    """What the file holds."""

    version: Literal[1] = 1
    outcomes: Mapping[str, Outcome] = field(default_factory=nothing)


class Memory:
    """The outcomes in `plugins.json` (0600) of a state folder, for each plugin of one very installation.

    The key has a hash of the distribution's RECORD and where it lies: another version, or the same one reinstalled
    with other files, knows nothing of what was before. What cannot be read or written is no reason to fail.
    """

    def __init__(self, state_dir: Path) -> None:
        self._store = Store(state_dir / "plugins.json", _Remembered())

    def recall(self, records: tuple[Record, ...]) -> Mapping[Record, Outcome]:
        """Return the last outcome of each plugin that was loaded as it is installed now."""
        known = self._read()
        found = {record: known.get(_key(record)) for record in (records if known else ())}
        return {record: outcome for record, outcome in found.items() if outcome is not None}

    def note(self, outcomes: Mapping[Record, Outcome]) -> None:
        """Keep what loads found; nothing is written where it is known already."""
        known = self._read()
        telling = {record: it for record, it in outcomes.items() if known or it.error or it.seconds is not None}
        new = {_key(record): outcome for record, outcome in telling.items()}
        if all(_says_more(outcome, known.get(key)) is None for key, outcome in new.items()):
            return
        try:
            self._store.change(lambda old: _Remembered(outcomes=_merged(old.outcomes, new)))
        except (BottleError, OSError):
            return

    def _read(self) -> Mapping[str, Outcome]:
        try:
            return self._store.read().outcomes
        except BottleError:
            return {}


def _merged(old: Mapping[str, Outcome], new: Mapping[str, Outcome]) -> Mapping[str, Outcome]:
    now = time.time()
    more = {key: _says_more(outcome, old.get(key)) for key, outcome in new.items()}
    merged = {**old, **{key: replace(outcome, time=now) for key, outcome in more.items() if outcome is not None}}
    return dict(sorted(merged.items(), key=lambda it: it[1].time)[-KEPT:])


def _says_more(new: Outcome, old: Outcome | None) -> Outcome | None:
    """Return what to keep of an outcome; None if nothing: a launch that goes well only forgets what went wrong."""
    if new.seconds is not None or new.error != (old.error if old else ""):
        return new
    return None


def _key(record: Record) -> str:
    """Return the name of a plugin as it is installed: kind, name, a hash of its metadata, and where it lies."""
    found = metadata.distributions(name=record.distribution, path=[record.location])
    return f"{record.kind} {record.name} {''.join(map(fingerprint, islice(found, 1)))} {record.location}"
