"""A terminal that a test looks at as a user does: a window of tmux, with its screen as text."""

import shlex
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex

from e2e_user import wait_until

__all__ = ["Terminal"]

PATIENCE = 60.0


class Terminal:
    """A window that runs a shell, in which one command is typed; the shell shows the terminal's settings around it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._server = f"agents-{token_hex(4)}"
        self._environment = {**environment, "TERM": "xterm-256color", "PS1": "$ ", "ENV": ""}
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", "-c", str(folder), "/bin/sh")

    def run(self, command: list[str]) -> None:
        """Run a command between two looks at the terminal's settings."""
        self.type(f"stty -g; {shlex.join(command)}; echo code=$?; stty -g")

    def type(self, text: str) -> None:
        """Type a line, and press Enter once it is there: a program that reads a paste would take both together."""
        self._tmux("send-keys", "-t", "0", "-l", text)
        time.sleep(0.3)
        self.press("Enter")

    def press(self, key: str) -> None:
        """Press a key, by tmux's name of it."""
        self._tmux("send-keys", "-t", "0", key)

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self._tmux("resize-window", "-t", "0", "-x", str(columns), "-y", str(rows))

    def screen(self) -> str:
        """Return what is on the screen."""
        return self._tmux("capture-pane", "-p", "-t", "0")

    def history(self) -> str:
        """Return what is on the screen and what was above."""
        return self._tmux("capture-pane", "-p", "-S", "-", "-t", "0")

    def see(self, text: str, seconds: float = PATIENCE) -> str:
        """Wait until the screen shows a text, and return the screen."""
        until = time.monotonic() + seconds
        while text not in (screen := self.screen()):
            over = "\ncode=" in screen or time.monotonic() > until
            assert not over, f"{text!r} does not appear:\n{self.history()}"
            time.sleep(0.1)
        return screen

    def restored(self) -> bool:
        """Whether the terminal is as it was: its settings, one screen, a cursor, no mouse."""
        wait_until(lambda: len(self._settings()) > 1)
        state = self._tmux("display-message", "-p", "-t", "0", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}")
        return (*self._settings()[1:], state) == (self._settings()[0], "0 1 0\n")

    def _settings(self) -> list[str]:
        return [line for line in self.history().splitlines() if line.count(":") > 20]

    def close(self) -> None:
        """Hang up."""
        self._tmux("kill-server")

    def _tmux(self, *words: str) -> str:
        argv = ["tmux", "-L", self._server, *words]
        done = subprocess.run(argv, env=self._environment, capture_output=True, check=True, text=True, timeout=20)
        return done.stdout
