"""Signals during a launch: one ends it in order, and none can interrupt a create or the way back."""

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from claude_bottle.seam.hearing import heard

__all__ = ["Interrupted", "Signals"]

CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 3
LAST_WORDS = b"\nleft before everything was removed: run `bottle cleanup`\n"


class Interrupted(BaseException):
    """A signal ended the launch. Its exit code is 128 + the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """The exit code by the shell's convention."""
        return 128 + self.number


class Signals:
    """Turns signals into `Interrupted` in the main thread, except while they are held back."""

    def __init__(self) -> None:
        self._depth = 0
        self._pending: int | None = None
        self._count = 0

    @property
    def count(self) -> int:
        """How many have come so far, held back or not."""
        return self._count

    @contextmanager
    def caught(self) -> Generator[None]:
        """Catch signals for the time of a launch; outside the main thread this does nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._arrived) for number in CAUGHT}
        try:
            with heard(CAUGHT):
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Generator[None]:
        """Hold signals back while something is made or undone; one that came is raised at the end."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self._depth == 0 and self._pending is not None:
            self.interrupt(self._pending)

    def silence(self) -> None:
        """Hold signals back for good: for the way back, after which nothing is left to interrupt."""
        self._depth += 1

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._depth:
            self._pending = number
            if number == signal.SIGINT and self._count >= PATIENCE:
                os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, LAST_WORDS)
                os._exit(128 + number)
            return
        self.interrupt(number)

    def interrupt(self, number: int) -> NoReturn:
        """Raise `Interrupted`, once: a second signal must not break into the way back that the first began."""
        self.silence()
        raise Interrupted(number)
