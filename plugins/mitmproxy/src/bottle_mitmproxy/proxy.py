"""The running proxy as core sees it."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec import DecodeError, Struct, json, structs

from bottle_mitmproxy.settings import POLICY, Settings, render_settings
from claude_bottle.errors import DeadlineError, LaunchError
from claude_bottle.seam.event import Event
from claude_bottle.seam.levels import HostRule
from claude_bottle.seam.sidecar import File, Sidecar

__all__ = ["Line", "MitmproxyProxy"]

RELOAD = 5.0  # seconds in which new rules must be in force


class Line(Struct):
    """One line of the process's stdout; exactly one of its fields is set, beside `ca`, which comes with `ready`."""

    ready: bool = False
    ca: str = ""
    event: Event | None = None
    reloaded: int | None = None
    error: str = ""
    lost: int = 0


class MitmproxyProxy:
    """Reads the process's lines in a thread of its own, from when somebody first waits for it."""

    def __init__(self, sidecar: Sidecar, settings: Settings, placeholders: Mapping[str, str]) -> None:
        self._sidecar = sidecar
        self._settings = settings
        self._placeholders = placeholders
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._ca = ""
        self._error = ""
        self._generation = settings.generation
        self._ended = False
        self._reader: threading.Thread | None = None

    @property
    def env(self) -> Mapping[str, str]:
        """What the agent holds for each credential that is injected."""
        return MappingProxyType(dict(self._placeholders))

    def ready(self, timeout: float) -> bytes | None:
        """Wait until it serves, and return the PEM of its authority's certificate."""
        self._read()
        self._wait_for(lambda: bool(self._ca), timeout, "the proxy is not ready")
        return self._ca.encode()

    def wait(self, timeout: float | None = None) -> int | None:
        """Return its exit code, or None if it still runs after `timeout` seconds."""
        return self._sidecar.wait(timeout)

    def events(self) -> Iterator[Event]:
        """Yield its decisions until it ends."""
        self._read()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._events or self._ended)
                events, self._events = self._events, []
            if not events:
                return
            for event in events:
                yield structs.replace(event, bottle=self._settings.bottle)

    def reload(self, rules: Sequence[HostRule]) -> bool:
        """Put new rules in force; connections that they no longer allow are closed. True once that is done."""
        generation = self._settings.generation + 1
        self._settings = structs.replace(self._settings, rules=tuple(rules), generation=generation)
        with self._changed:
            self._error = ""
        self._sidecar.put([File(POLICY, render_settings(self._settings))])
        self._wait_for(lambda: self._generation >= generation, RELOAD, "the new rules are not in force")
        return True

    def stop(self) -> None:
        """End it."""
        self._sidecar.stop()

    def _wait_for(self, done: Callable[[], bool], timeout: float, otherwise: str) -> None:
        deadline = time.monotonic() + timeout
        with self._changed:
            self._changed.wait_for(lambda: done() or self._ended or self._error, timeout)
            if done():
                return
            if self._ended or self._error:
                raise LaunchError(f"{otherwise}: {self._error or 'its process has ended'}")
        raise DeadlineError(f"{otherwise} after {timeout - (deadline - time.monotonic()):.0f} s")

    def _read(self) -> None:
        with self._changed:
            if self._reader is None:
                self._reader = threading.Thread(target=self._follow, name="mitmproxy events", daemon=True)
                self._reader.start()

    def _follow(self) -> None:
        decoder = json.Decoder(Line)
        try:
            for text in self._sidecar.lines():
                try:
                    line = decoder.decode(text)
                except DecodeError:
                    continue  # a library's own print is no decision
                self._take(line)
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _take(self, line: Line) -> None:
        with self._changed:
            if line.ready:
                self._ca = line.ca
            if line.event:
                self._events.append(line.event)
            if line.reloaded is not None:
                self._generation = line.reloaded
            if line.lost:
                self._events.append(lost_event(line.lost))
            self._error = line.error or self._error
            self._changed.notify_all()


def lost_event(count: int) -> Event:
    """Return what stands in the log for decisions that nobody read in time."""
    return Event(time=time.time(), verdict="warn", host="", rule="log", reason=f"{count} decisions were not recorded")
