"""The phases of a launch: shown while they last on a terminal, and timed."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import NamedTuple, TextIO

__all__ = ["Phase", "Phases"]


class Phase(NamedTuple):
    """What was done, and how long it took in seconds."""

    name: str
    seconds: float


class Phases:
    """A line that says what is being done; quiet where stderr is no terminal."""

    def __init__(self, stream: TextIO | None = None, *, show: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        self._show = self._stream.isatty() if show is None else show
        self.done: list[Phase] = []

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        """Show and time one phase."""
        self._write(f"\r\x1b[K· {name} …")
        begin = time.monotonic()
        try:
            yield
        finally:
            self.done.append(Phase(name, time.monotonic() - begin))
            self.clear()

    def clear(self) -> None:
        """Take the line back, so that another one can stand in its place."""
        self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        if self._show:
            with suppress(OSError):  # a terminal that is gone is no reason to leave anything undone
                self._stream.write(text)
                self._stream.flush()

    def report(self) -> str:
        """Return the timings, one line each in milliseconds, and their sum."""
        rows = [*self.done, Phase("sum", sum(phase.seconds for phase in self.done))]
        width = max(len(row.name) for row in rows)
        return "".join(f"{row.name:<{width}}  {row.seconds * 1000:7.1f} ms\n" for row in rows)
