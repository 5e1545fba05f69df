"""The size of the terminal inside, when the engine is not as quick as the user's window."""

import os
import threading
from typing import Any

import pytest

from bottle_docker.terminal import follow_size
from claude_bottle.errors import LaunchError


class Late:
    """An engine that has not started the command yet when it is asked first; meanwhile the window is resized."""

    def __init__(self) -> None:
        self.window = os.terminal_size((80, 24))
        self.given: list[tuple[int, int]] = []
        self.done = threading.Event()

    def resize_exec(self, _exec_id: str, lines: int, columns: int) -> None:
        """Take a size, the second time."""
        if self.window != (132, 50):
            self.window = os.terminal_size((132, 50))
            raise LaunchError("not started yet")
        self.given.append((lines, columns))
        self.done.set()


def test_a_size_that_had_to_wait_is_the_one_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would take the place of a later one that had not to."""
    engine = Late()

    def size_of_window(_fd: int) -> os.terminal_size:
        return engine.window

    monkeypatch.setattr(os, "get_terminal_size", size_of_window)
    asked: Any = engine
    follow_size(asked, "command")
    assert engine.done.wait(10)
    assert engine.given == [(50, 132)]
