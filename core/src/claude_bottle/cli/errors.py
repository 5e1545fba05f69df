"""How a failure is told: `error:` and `hint:` on stderr, an exit code, and a traceback only with --debug."""

import functools
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, ParamSpec

import click

from claude_bottle.errors import BottleError, ClosedError, Problem, ProblemsError, UsageError

__all__ = ["FAILED", "LAUNCH_FAILED", "USAGE", "fail", "reported", "say"]

FAILED = 1
USAGE = 2
LAUNCH_FAILED = 125
"""Our own failure in `start` and `exec`, so that it is not taken for the command's."""
CLOSED = 141
"""Nobody reads what we write: as if by SIGPIPE, which Python does not end by."""

P = ParamSpec("P")


def reported(code: int = FAILED) -> Callable[[Callable[P, int | None]], Callable[P, None]]:
    """Make a command's function exit with what it returns, and with `code` after a failure of ours."""

    def decorate(function: Callable[P, int | None]) -> Callable[P, None]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                result = function(*args, **kwargs)
                sys.stdout.flush()
            except UsageError as error:
                fail(error, USAGE)
            except (BrokenPipeError, ClosedError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the exit is quiet
                sys.exit(CLOSED)
            except BottleError as error:
                fail(error, code)
            except OSError as error:  # a disk that is full, a folder that cannot be written: the same in every command
                fail(_named(error), code)
            sys.exit(result or 0)

        return run

    return decorate


def _named(error: OSError) -> BottleError:
    """Return a failure of the system as one of ours, with the file that it was about where it has one."""
    about = f"{error.filename}: " if error.filename is not None else ""
    failure = BottleError(f"{about}{error.strerror or error}", "run again with --debug for the traceback")
    return failure.with_traceback(error.__traceback__)


def fail(error: BottleError, code: int) -> NoReturn:
    """Tell a failure, with `--debug` by its traceback first, and exit."""
    context = click.get_current_context(silent=True)
    if context is not None and context.params.get("debug"):
        sys.excepthook(type(error), error, error.__traceback__)
    show_error(error)
    sys.exit(code)


def show_error(error: BottleError) -> None:
    """Write a failure to stderr: one `error:` each, with its `hint:`."""
    if isinstance(error, ProblemsError):
        show_problems(error.problems)
        return
    show_problems([Problem(error.message, error.hint)])


def show_mistake(error: click.ClickException) -> None:
    """Write what click refused in our own form, with the help that would have told."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "bottle"
    show_problems([Problem(error.format_message().rstrip("."), f"{path} --help")])


def show_problems(problems: tuple[Problem, ...] | list[Problem]) -> None:
    """Write problems to stderr, all of them."""
    for problem in problems:
        say(f"{click.style('error:', fg='red')} {problem}")
        if problem.hint:
            say(f"{click.style(' hint:', fg='cyan')} {problem.hint}")


def say(text: str) -> None:
    """Write a line to stderr; colours are taken out where it is no terminal."""
    with suppress(OSError):  # a terminal that is gone is no reason to leave anything undone
        click.echo(text, err=True)
