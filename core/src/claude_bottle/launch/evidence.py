"""The record of what a bottle's proxy decided: one file a launch, kept for the user alone."""

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from claude_bottle.errors import NotFoundError
from claude_bottle.seam.event import Event
from claude_bottle.seam.folders import private_dir, state_dir

__all__ = ["KEPT_DAYS", "EvidenceFile", "Refusal", "find_evidence", "follow", "read_events", "shortened", "summarise"]

KEPT_DAYS = 30
"""After the last decision."""
DAY = 24 * 60 * 60
LONGEST = 1024
"""Characters of one text of an event that are kept."""
NAME = re.compile(r"(?P<time>\d+)-(?P<bottle>.+)-(?P<label>[0-9a-f]+)\.jsonl")


def evidence_dir() -> Path:
    """Return the folder of all evidence (not made)."""
    return state_dir() / "events"


class EvidenceFile:
    """The open file of one launch, mode 0600; each event is one line of JSON, written whole."""

    def __init__(self, bottle: str, label: str) -> None:
        folder = private_dir(evidence_dir())
        _expire(folder)
        self.path = folder / f"{int(time.time())}-{bottle}-{label}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file: BinaryIO = os.fdopen(os.open(self.path, flags, 0o600), "ab", buffering=0)
        self._bottle = bottle

    def write(self, event: Event) -> None:
        """Append one event under this bottle's name."""
        self._file.write(msgspec.json.encode(msgspec.structs.replace(event, bottle=self._bottle)) + b"\n")

    def close(self) -> None:
        """Close the file; it stays where it is."""
        self._file.close()


def shortened(event: Event) -> Event:
    """Return an event without the rest of its long texts: whoever is inside decides how long they are."""
    texts = {name: getattr(event, name) for name in ("host", "method", "path", "reason", "fix")}
    long = {name: f"{text[:LONGEST]}…" for name, text in texts.items() if len(text) > LONGEST}
    return msgspec.structs.replace(event, **long) if long else event


def _expire(folder: Path) -> None:
    """Remove what no launch has written to for so long; the name tells when one began, and it may run still."""
    for path in folder.glob("*.jsonl"):
        with suppress(FileNotFoundError):  # another launch was quicker
            if NAME.fullmatch(path.name) and time.time() - path.stat().st_mtime > KEPT_DAYS * DAY:
                path.unlink()


def find_evidence(name: str | None) -> Path:
    """Return the file of the newest launch whose bottle or agent has this name; of any where it is None."""
    files = sorted(evidence_dir().glob("*.jsonl"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    for path in reversed(files):
        found = NAME.fullmatch(path.name)
        if found and (name is None or name in _names(found["bottle"])):
            return path
    what = f"no launch of {name} is on record" if name else "no launch is on record"
    raise NotFoundError(what, f"records are kept for {KEPT_DAYS} days in {evidence_dir()}")


def _names(bottle: str) -> set[str]:
    """Return by which names a bottle is asked for: its own and its agent's, whichever of the agent's it was."""
    agent = bottle.removeprefix("claude-bottle-")
    return {bottle, agent, re.sub(r"-[0-9]{1,2}$", "", agent)}


def label_of(path: Path) -> str:
    """Return the label of the launch that wrote this file."""
    found = NAME.fullmatch(path.name)
    return found["label"] if found else ""


def read_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of a file's lines; one that was cut off by a crash is passed over."""
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=Event)
        except msgspec.DecodeError:
            continue


def follow(path: Path, *, alive: Callable[[], bool], interval: float = 0.2) -> Iterator[bytes]:
    """Yield the lines of a file as they come, until its launch has ended and all is read."""
    with path.open("rb") as file:
        rest = b""
        while True:
            going = alive()
            while chunk := file.read(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
            if not going:
                return
            time.sleep(interval)


class Refusal(NamedTuple):
    """The refusals of one kind, counted."""

    times: int
    by: str
    host: str
    rule: str
    reason: str
    fix: str


def summarise(events: Iterable[Event]) -> Sequence[Refusal]:
    """Return what was refused, the most frequent first."""
    counts = Counter((it.by, it.host, it.rule, it.reason, it.fix) for it in events if it.verdict == "deny")
    return [Refusal(count, *what) for what, count in counts.most_common()]
