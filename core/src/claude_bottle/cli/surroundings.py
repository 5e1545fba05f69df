"""What commands read of the user's surroundings."""

import os
import sys
from pathlib import Path

import click

from claude_bottle.errors import BottleError
from claude_bottle.launch.sources import Surroundings
from claude_bottle.seam.folders import config_dir, state_dir

__all__ = ["ask_hidden", "read_surroundings", "stdin_is_terminal"]

LINE = 4095
"""Bytes of a line that Linux keeps for whoever reads from a terminal (termios(3)); it drops the rest."""


def stdin_is_terminal() -> bool:
    """Whether a question can be asked: stdin and stderr are terminals."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def read_surroundings() -> Surroundings:
    """Return this process's surroundings."""
    return Surroundings(
        environ=os.environ,
        cwd=_cwd(),
        home=Path.home(),
        config_dir=config_dir(),
        state_dir=state_dir(),
        ask=ask_hidden if stdin_is_terminal() else None,
    )


def _cwd() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise BottleError("the folder that this runs in is gone", "cd to one that is there") from error


def ask_hidden(question: str) -> str:
    """Ask at the terminal without echo; BottleError for an answer of which it has lost the end.

    Ctrl-Z does nothing meanwhile: a shell switches the echo on, and what is typed after `fg` would be shown.
    """
    import signal  # noqa: PLC0415 - a dry run asks nothing

    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        answer: str = click.prompt(question, hide_input=True, err=True)
    finally:
        signal.signal(signal.SIGTSTP, before)
    if len(os.fsencode(answer)) >= LINE:
        raise BottleError(f"a terminal takes {LINE} bytes of a line, and this has more", "give it by a pipe or a file")
    return answer
