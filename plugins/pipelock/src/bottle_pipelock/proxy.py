"""The running pipelock as core sees it."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from queue import SimpleQueue
from types import MappingProxyType

from msgspec import structs

from bottle_pipelock.config import CONFIG, EVIDENCE, Settings, render_config
from bottle_pipelock.events import Journal, Line
from bottle_pipelock.levels import what_holds
from claude_bottle.errors import BottleError, DeadlineError, LaunchError
from claude_bottle.seam.event import Event
from claude_bottle.seam.levels import HostRule
from claude_bottle.seam.sidecar import File, Sidecar

__all__ = ["PipelockProxy"]

RELOAD = 5.0  # seconds in which new rules must be in force
LOOK = 0.05  # seconds between two looks whether it serves
RECEIPTS = 1.0  # seconds between two looks at its receipts
SHARE = 20  # the part of the time that these looks may take


class PipelockProxy:
    """Reads its log in one thread and its receipts in another, from when somebody first waits for it."""

    def __init__(self, sidecar: Sidecar, settings: Settings, certificate: bytes, ready: Sequence[str]) -> None:
        self._sidecar = sidecar
        self._settings = settings
        self._certificate = certificate
        self._ready = ready
        self._journal = Journal(settings.name)
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._reloads: list[bool] = []
        self._words = ""
        self._ended = threading.Event()
        self._reading = threading.Lock()
        self._read: dict[str, int] = {}
        self._threads: list[threading.Thread] = []

    @property
    def env(self) -> Mapping[str, str]:
        """Nothing: pipelock injects no credential."""
        return MappingProxyType({})

    def ready(self, timeout: float) -> bytes | None:
        """Wait until it serves, and return the PEM of its authority's certificate."""
        deadline = time.monotonic() + timeout
        self._begin()
        while True:
            if (code := self._sidecar.wait(0)) is not None:
                self._ended.wait(LOOK)
                words = self._sidecar.last_words or self._words or "it said nothing"
                raise LaunchError(f"pipelock ended (exit code {code}): {words}")
            left = deadline - time.monotonic()
            if left <= 0:
                raise DeadlineError(f"pipelock does not serve after {timeout:g} s")
            try:
                if self._sidecar.exec(self._ready, left).returncode == 0:
                    return self._certificate
            except DeadlineError:
                raise
            except BottleError:
                continue  # it ended between the two questions, which the next look says better
            time.sleep(LOOK)

    def wait(self, timeout: float | None = None) -> int | None:
        """Return its exit code, or None if it still runs after `timeout` seconds."""
        return self._sidecar.wait(timeout)

    def events(self) -> Iterator[Event]:
        """Yield its decisions until it ends."""
        self._begin()
        while (event := self._queue.get()) is not None:
            yield event

    def reload(self, rules: Sequence[HostRule]) -> bool:
        """Put new rules in force; False where it needs a restart: for a host that is not to be opened, say."""
        settings = structs.replace(self._settings, rules=what_holds(rules, self._settings.action))
        if passed_through(settings) != passed_through(self._settings):
            return False
        with self._changed:
            before = len(self._reloads)
        self._sidecar.put([File(CONFIG, render_config(settings))])
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._reloads) > before, RELOAD):
                raise DeadlineError(f"pipelock has not taken the new rules within {RELOAD:g} s")
            taken = self._reloads[before]
        if taken:
            self._settings = settings
        else:
            self._sidecar.put([File(CONFIG, render_config(self._settings))])
        return taken

    def stop(self) -> None:
        """Read the last receipts, and end it."""
        if not self._ended.is_set():
            self._read_receipts()
        self._sidecar.stop()

    def _begin(self) -> None:
        with self._changed:
            if self._threads:
                return
            self._threads = [
                threading.Thread(target=self._follow_log, name="pipelock log", daemon=True),
                threading.Thread(target=self._follow_receipts, name="pipelock receipts", daemon=True),
            ]
        for thread in self._threads:
            thread.start()

    def _follow_log(self) -> None:
        try:
            for text in self._sidecar.lines():
                if (line := self._journal.parse(text)) is not None:
                    self._take(line)
        finally:
            self._ended.set()
            for event in self._journal.still_open():
                self._queue.put(event)
            self._queue.put(None)

    def _take(self, line: Line) -> None:
        if line.event == "config_reload" or line.method == "CONFIG_RELOAD":
            with self._changed:
                self._reloads.append(line.event == "config_reload" and line.status == "success")
                self._changed.notify_all()
            return
        self._words = line.error or self._words
        for event in self._journal.of_line(line):
            self._queue.put(event)

    def _follow_receipts(self) -> None:
        pause = RECEIPTS
        while not self._ended.wait(pause):
            begin = time.monotonic()
            self._read_receipts()
            pause = max(RECEIPTS, SHARE * (time.monotonic() - begin))

    def _read_receipts(self) -> None:
        with self._reading:
            try:
                files = self._sidecar.get(EVIDENCE)
            except BottleError:
                return  # it is ending; what it had decided until the last look is told
            for name, data in sorted(files.items()):
                fresh = data[self._read.get(name, 0) :]
                whole = fresh.rpartition(b"\n")[0]
                self._read[name] = self._read.get(name, 0) + len(whole) + bool(whole)
                for text in whole.splitlines():
                    for event in self._journal.of_receipt(text):
                        self._queue.put(event)


def passed_through(settings: Settings) -> set[str]:
    """Return the hosts that are not opened: a strict pipelock takes no addition to them while it runs."""
    return {rule.host for rule in settings.rules if rule.level == "opaque"}
