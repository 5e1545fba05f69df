"""The demo's stage: it shows a command, runs it, shows its answer, and says whether that was expected."""

# ruff: noqa: INP001 - a script's neighbour, not part of a package

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["Answer", "Stage"]

DEADLINE = 60.0
WIDTH = 98


class Answer(NamedTuple):
    """What a command left: its exit code, and stderr followed by stdout."""

    code: int
    text: str


class Stage:
    """Where the demo speaks. Colours are for a terminal only."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._step = 0
        self.failures = 0

    def title(self, text: str, *paragraph: str) -> None:
        """Say what the demo is."""
        self._write(self._paint("1;36", text))
        for line in paragraph:
            self._write(line)

    def step(self, text: str) -> None:
        """Begin a step."""
        self._step += 1
        self._write("\n" + self._paint("1", f"{self._step}  {text}"))

    def show(self, command: str, only: str = "", *, stdin: str = "", suffix: str = "") -> Answer:
        """Show a command line, run just that, and show the lines of its answer in which the pattern `only` is found.

        `stdin` is the text that it is given, `suffix` how that is shown.
        """
        self._write(f"   {self._paint('36', '$')} {self._paint('1', command + suffix)}")
        answer = self.run(command, stdin)
        lines = [line.rstrip() for line in answer.text.splitlines() if re.search(only, line)]
        for line in lines or [f"(no output, exit code {answer.code})"]:
            self._write("     " + (line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"))
        return answer

    def run(self, command: str, stdin: str = "") -> Answer:
        """Run a command line without showing it."""
        done = subprocess.run(
            shlex.split(command),
            input=stdin.encode(),
            capture_output=True,
            env=self._environment,
            cwd=self._folder,
            timeout=DEADLINE,
            check=False,
        )
        return Answer(done.returncode, (done.stderr + done.stdout).decode("utf-8", "replace"))

    def expect(self, text: str, answer: Answer, *, when: bool) -> None:
        """Tick a line off; where it is not as expected, show the whole answer."""
        if when:
            self._write(f"   {self._paint('32', '✓')} {text}")
            return
        self.failures += 1
        self._write(f"   {self._paint('1;31', '✗')} not as expected: {text}")
        self._write(f"     exit code {answer.code}; the whole answer:")
        for line in answer.text.splitlines():
            self._write(f"     | {line}")

    def end(self, seconds: float) -> int:
        """Say how it went, and return the exit code."""
        if self.failures:
            self._write("\n" + self._paint("1;31", f"{self.failures} of {self._step} steps were not as expected"))
            return 1
        self._write("\n" + self._paint("1;32", f"All {self._step} steps were as expected, in {seconds:.1f} s."))
        return 0

    def _paint(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours else text

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
