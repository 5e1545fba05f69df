"""The running proxy as core sees it."""

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec import structs

from bottle_pipelock.config import Settings, make_config
from bottle_pipelock.journal import Journal
from bottle_pipelock.levels import answer
from bottle_pipelock.log import Log
from bottle_pipelock.render import CONFIG, render
from claude_bottle.errors import BottleError, DeadlineError, LaunchError
from claude_bottle.seam.event import Event
from claude_bottle.seam.levels import HostRule
from claude_bottle.seam.sidecar import File, Sidecar

__all__ = ["PipelockProxy"]

RELOAD = 5.0  # seconds in which new rules must be in force
LOOK = 2.0  # seconds between two looks at the receipts
COST = 20  # looks take a twentieth of the time at most: each one reads all receipts
HEALTH = 5.0  # seconds that the health command may take
WORDS = 0.5  # seconds to wait for the last words of one that has ended


class PipelockProxy:
    """A sidecar, the settings that are in force in it, and what is known of its decisions."""

    def __init__(self, sidecar: Sidecar, settings: Settings, bottle: str, ca: bytes, health: Sequence[str]) -> None:
        self._sidecar = sidecar
        self._settings = settings
        self._ca = ca
        self._health = tuple(health)
        self._bottle = bottle
        self._journal = Journal(bottle, settings.name)
        self._log = Log(sidecar, self._journal)
        self._looking = threading.Lock()
        self._next_look = 0.0
        self._blind = self._served = self._done = False

    @property
    def env(self) -> Mapping[str, str]:
        """Nothing: this proxy injects no credential."""
        return MappingProxyType({})

    def ready(self, timeout: float) -> bytes | None:
        """Ask its health command until it serves, and return the PEM of its authority's certificate."""
        deadline = time.monotonic() + timeout
        self._log.begin()
        while not self._is_healthy(max(0.1, min(HEALTH, deadline - time.monotonic()))):
            if (code := self._sidecar.wait(0)) is not None:
                raise LaunchError(f"the proxy ended before it served, with exit code {code}{self._words(WORDS)}")
            if time.monotonic() >= deadline:
                raise DeadlineError(f"the proxy is not ready after {timeout:.0f} s{self._words(0)}")
            time.sleep(0.02)
        self._served = True
        return self._ca

    def wait(self, timeout: float | None = None) -> int | None:
        """Return its exit code, or None if it still runs after `timeout` seconds."""
        return self._sidecar.wait(timeout)

    def events(self) -> Iterator[Event]:
        """Yield its decisions until it ends: refusals at once, what passed in opened tunnels within seconds."""
        self._log.begin()
        while True:
            fresh, ended = self._log.take(max(0.0, self._next_look - time.monotonic()))
            yield from fresh
            if ended and not fresh:
                if self._done:
                    return
                self._look(last=True)
            elif time.monotonic() >= self._next_look:
                self._look()

    def reload(self, rules: Sequence[HostRule]) -> bool:
        """Put new rules in force; False, and nothing is changed, where pipelock would have to be restarted.

        That is so for a host that is not to be opened: in strict mode it may not loosen its policy while it runs.
        """
        after = structs.replace(self._settings, rules=answer(rules, self._settings.dlp_action))
        old, new = self._file(self._settings), self._file(after)
        if old.data == new.data:
            return True
        digest = hashlib.sha256(new.data).hexdigest()
        done = self._log.reloaded(digest, lambda: self._sidecar.put([new]), RELOAD)
        if done:
            self._settings = after
            return True
        self._sidecar.put([old])
        if done is None:
            raise DeadlineError(f"the new rules are not in force after {RELOAD:.0f} s")
        return False

    def stop(self) -> None:
        """Read what is still in the receipts, and end it."""
        if self._served and not self._done:
            self._look(last=True)
        self._sidecar.stop()

    @staticmethod
    def _file(settings: Settings) -> File:
        return File(CONFIG, render(make_config(settings)))

    def _is_healthy(self, timeout: float) -> bool:
        try:
            return self._sidecar.exec(self._health, timeout).returncode == 0
        except BottleError:  # it is not there yet, or no more, which `wait` says better
            return False

    def _words(self, timeout: float) -> str:
        words = self._sidecar.last_words or self._log.last_words(timeout)
        return f": {words}" if words else ""

    def _look(self, *, last: bool = False) -> None:
        """Read the receipts. Whoever can no longer read them is told so, once."""
        with self._looking:
            began = time.monotonic()
            if self._done:
                return
            self._done = last
            try:
                self._log.add(self._journal.receipts(self._sidecar.get(self._settings.evidence)))
            except (BottleError, OSError) as error:
                if not self._blind:
                    self._log.add([self._lost(error)])
                self._blind = True
            self._next_look = time.monotonic() + max(LOOK, COST * (time.monotonic() - began))

    def _lost(self, error: Exception) -> Event:
        reason = f"requests that passed in opened tunnels are not recorded: {error}"
        return Event(time=time.time(), verdict="warn", bottle=self._bottle, host="", rule="log", reason=reason)
