"""What was done in a bottle, on its way out: at the end, and whenever another terminal asks."""

import threading
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from claude_bottle.errors import BottleError
from claude_bottle.hookspecs import Hooks
from claude_bottle.launch.prepare import Prepared
from claude_bottle.launch.signals import Signals
from claude_bottle.launch.team import ask_maybe
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle

__all__ = ["Keeper", "Work"]

T = TypeVar("T")

POLL = 0.2
"""Seconds between two looks at a bottle that is kept."""


class Work:
    """The work in one bottle. Its provisioners and its agent's plugin bring it out, one caller at a time."""

    def __init__(self, prepared: Prepared, bottle: Bottle) -> None:
        self._prepared = prepared
        self._lock = threading.Lock()
        self.bottle = bottle
        self.discarded = False
        self.settled = threading.Event()
        """Set once it was brought out or given up, since it last could not be."""

    def pull(self) -> tuple[str, ...]:
        """Bring it out and return what there is to tell; BottleError where something cannot come out."""
        if self.discarded:
            return ()
        with self._lock:
            self.settled.clear()
            answers = self._ask(lambda hooks, plan: hooks.collect(bottle=self.bottle, plan=plan))
            lines = [line for answer in answers for line in answer or ()]
            self.settled.set()
            return tuple(lines)

    def compare(self) -> bytes:
        """Return what would come out, as a text of differences; nothing is changed."""
        with self._lock:
            answers = self._ask(lambda hooks, plan: hooks.compare(bottle=self.bottle, plan=plan))
            return b"".join(text or b"" for text in answers)

    def _ask(self, call: Callable[[Hooks, Plan], T]) -> list[T]:
        plan, team = self._prepared.plan, self._prepared.team
        return [
            ask_maybe(loaded, lambda loaded=loaded: call(loaded.hooks, plan))
            for loaded in (*team.provisioners, team.agent)
        ]

    def discard(self) -> None:
        """Give it up: from now on nothing is brought out, and nothing keeps the bottle."""
        self.discarded = True
        self.settled.set()


class Keeper(NamedTuple):
    """Brings work out at the end of a launch, and keeps the bottle for as long as it cannot come out."""

    work: Work
    signals: Signals
    say: Callable[[str], None]

    def bring_out(self) -> bool:
        """Return whether all came out or was given up on purpose; it returns at the latest after one more signal."""
        try:
            lines = self.work.pull()
        except BottleError as error:
            return self._keep(error)
        for line in lines:
            self.say(line)
        return True

    def _keep(self, error: BottleError) -> bool:
        name, before = self.work.bottle.name, self.signals.count
        self.say(f"error: {error.message}")
        if not self._runs():
            return self._lost()
        if error.hint:
            self.say(f" hint: {error.hint}")
        self.say(f"{name} is kept, for what was done in it has not come out:")
        self.say(f"  bottle exec {name}               look into it")
        self.say(f"  bottle pull {name}               try again; then it is removed")
        self.say(f"  bottle stop --discard {name}     give it up, as does Ctrl-C here")
        while not self.work.settled.wait(POLL):
            if self.signals.count != before:
                self.say(f"given up: what was done in {name} has not come out")
                return False
            if not self._runs():
                return self._lost()
        return not self.work.discarded

    def _lost(self) -> bool:
        self.say(f"{self.work.bottle.name} has ended: what was done in it since it last came out is lost")
        return False

    def _runs(self) -> bool:
        try:
            return self.work.bottle.state == "running"
        except BottleError:  # its backend does not answer just now
            return True
