"""pipelock's log while it runs: read in a thread of its own, for whoever waits for something in it."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

from bottle_pipelock.journal import Journal
from bottle_pipelock.records import Line, read_line
from bottle_pipelock.redact import scrub
from claude_bottle.errors import BottleError
from claude_bottle.seam.event import Event
from claude_bottle.seam.sidecar import Sidecar

__all__ = ["Log"]

WORDS = 5


class Log:
    """What was read so far. `begin` may be called by anybody, as often as they like."""

    def __init__(self, sidecar: Sidecar, journal: Journal) -> None:
        self._sidecar = sidecar
        self._journal = journal
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._words: deque[str] = deque(maxlen=WORDS)
        self._reloads: Counter[str] = Counter()
        self._refusals = 0
        self._ended = False
        self._reader: threading.Thread | None = None

    def begin(self) -> None:
        """Begin to read, if nobody has yet."""
        with self._changed:
            if self._reader is None:
                self._reader = threading.Thread(target=self._follow, name="pipelock log", daemon=True)
                self._reader.start()

    def add(self, events: Iterable[Event]) -> None:
        """Put events behind those that were read."""
        with self._changed:
            self._events.extend(events)
            self._changed.notify_all()

    def take(self, timeout: float) -> tuple[Sequence[Event], bool]:
        """Wait for events, and return them and whether the log has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._ended, timeout)
            events, self._events = self._events, []
            return events, self._ended

    def last_words(self, timeout: float) -> str:
        """Return, in one line, what it printed last that is no record, once it has ended or time is up."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended, timeout)
            return "; ".join(self._words)

    def reloaded(self, digest: str, put: Callable[[], None], timeout: float) -> bool | None:
        """Call `put`, and return whether the file of this SHA-256 is in force then; None after `timeout` seconds."""
        with self._changed:
            before, refused = self._reloads[digest], self._refusals
        put()
        with self._changed:
            self._changed.wait_for(
                lambda: self._reloads[digest] > before or self._refusals > refused or self._ended, timeout
            )
            if self._reloads[digest] > before:
                return True
            return False if self._refusals > refused else None

    def _follow(self) -> None:
        try:
            for text in self._sidecar.lines():
                self._take(text, read_line(text))
        except (BottleError, OSError) as error:
            with self._changed:
                self._words.append(str(error))
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _take(self, text: bytes, line: Line | None) -> None:
        event = self._journal.line(line) if line else None
        with self._changed:
            if event:
                self._events.append(event)
            if line is None and text.strip():
                self._words.append(scrub(text.decode("utf-8", "replace").strip()))
            elif line and line.event == "config_reload" and line.status == "success":
                self._reloads[line.config_hash] += 1
            elif line and line.method == "CONFIG_RELOAD" and line.error.startswith("rejected"):
                self._refusals += 1
            self._changed.notify_all()
