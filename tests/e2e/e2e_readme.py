"""The `console` blocks of a document, and a shell into which a reader pastes their lines.

In such a block a line that begins with `$` is a command, run by sh; the lines below it are its output, stdout and
stderr as a terminal shows them, where `…` stands for anything, lines too.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from e2e_user import User

__all__ = ["WALK", "Shell", "blocks", "pattern", "section"]

WALK = "## From clone to push"
"""README's walk-through: it needs hosts to clone from and to push to."""

BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """A command of a document, and the output that stands below it."""

    command: str
    output: str


def blocks(text: str) -> list[tuple[str, str]]:
    """Return language and text of each block."""
    return [(found["language"], found["text"]) for found in BLOCK.finditer(text)]


def section(text: str, heading: str) -> str:
    """Return a section with its heading, up to the next one of the same depth; empty if there is none."""
    found = re.search(rf"^{re.escape(heading)}$.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


def steps(text: str) -> Iterator[Step]:
    """Yield the commands of a block."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield Step(command, output)


def pattern(output: str) -> str:
    """Return the pattern that an output as it is printed in a document stands for."""
    return "".join(".*" if part == "…" else re.escape(part) for part in re.split("(…)", output))


class Shell:
    """A user's shell: the folder that one line leads to is where the next begins."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._place = user.folder / "place"
        self._place.write_text(f"{user.work}\n")

    @property
    def folder(self) -> Path:
        """Where it is."""
        return Path(self._place.read_text().rstrip("\n"))

    def paste(self, text: str) -> None:
        """Run the commands of a block, each of which must do what stands below it."""
        for step in steps(text):
            shown = self.show(step.command)
            assert re.fullmatch(pattern(step.output), shown, re.DOTALL), f"$ {step.command}\n{shown}"

    def show(self, command: str) -> str:
        """Run a command as a reader would, and return what a terminal would show, without trailing spaces."""
        done = subprocess.run(
            ["/bin/sh", "-c", f"trap 'pwd >\"$0\"' EXIT\n{command}", self._place],
            env=self._user.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        return "".join(f"{line.rstrip()}\n" for line in done.stdout.decode().splitlines())
