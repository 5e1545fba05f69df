"""What commands read of the user's surroundings."""

import os
import sys
from pathlib import Path

import click

from claude_bottle.errors import BottleError
from claude_bottle.launch.sources import Surroundings
from claude_bottle.seam.folders import config_dir, state_dir

__all__ = ["read_surroundings", "stdin_is_terminal"]


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
        ask=_ask if stdin_is_terminal() else None,
    )


def _cwd() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise BottleError("the folder that this runs in is gone", "cd to one that is there") from error


def _ask(question: str) -> str:
    answer: str = click.prompt(question, hide_input=True, err=True)
    return answer
