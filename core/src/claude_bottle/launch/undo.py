"""The way back of a launch: what was registered is undone in reverse, each step within its deadline."""

import threading
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Undo"]

DEADLINE = 20.0
"""Seconds that one step of the way back may take before the next one begins."""


class _Step(NamedTuple):
    what: str
    action: Callable[[], object]


class Undo:
    """A stack of steps. A step is registered before the thing that it undoes is made."""

    def __init__(self, deadline: float = DEADLINE) -> None:
        self._steps: list[_Step] = []
        self._deadline = deadline

    def register(self, what: str, action: Callable[[], object]) -> None:
        """Add a step; `what` names it in messages."""
        self._steps.append(_Step(what, action))

    def unwind(self) -> list[str]:
        """Run all steps, the last one first, and return a sentence for each that failed or took too long."""
        failures: list[str] = []
        while self._steps:
            step = self._steps.pop()
            failure = self._run(step)
            if failure:
                failures.append(failure)
        return failures

    def _run(self, step: _Step) -> str | None:
        caught: list[BaseException] = []

        def act() -> None:
            try:
                step.action()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - one failure must not keep the others from running
                caught.append(error)

        thread = threading.Thread(target=act, name=f"undo {step.what}", daemon=True)
        thread.start()
        thread.join(self._deadline)
        if thread.is_alive():
            return f"{step.what}: not done after {self._deadline:g} s"
        return f"{step.what}: {str(caught[0]) or type(caught[0]).__name__}" if caught else None
