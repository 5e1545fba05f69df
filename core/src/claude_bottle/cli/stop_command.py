"""`bottle stop`: ends bottles and removes them, once what was done in them has come out."""

from contextlib import suppress

import click

from claude_bottle.cli.errors import reported, say
from claude_bottle.cli.running import running_bottle
from claude_bottle.errors import BottleError, UnavailableError
from claude_bottle.launch.bottles import Listed
from claude_bottle.launch.control import DiscardRequest, PullRequest, ask_launcher

__all__ = ["command"]

EPILOG = """\b
Examples:
  bottle stop reviewer
  bottle stop --discard reviewer      also if what was done in it cannot come out
"""


@click.command("stop", epilog=EPILOG)
@click.argument("names", nargs=-1, required=True)
@click.option("--discard", is_flag=True, help="Give up what was done in them.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(names: tuple[str, ...], *, discard: bool, debug: bool) -> None:
    """Bring out what was done in the bottles NAMES, end them and everything in them; what they left on record stays."""
    del debug
    for name in names:
        bottle = running_bottle(name)
        _discard(bottle) if discard else _pull(bottle)
        bottle.handle.stop()
        say(f"stopped {bottle.handle.name}")


def _pull(bottle: Listed) -> None:
    if bottle.record is None:  # it is not up yet
        return
    try:
        lines = ask_launcher(bottle.record.socket, PullRequest(), patience=None).decode()
    except UnavailableError:
        if bottle.record.owner.alive() and bottle.record.socket.exists():
            raise
        return  # it has ended meanwhile, in order
    except BottleError as error:
        name = bottle.handle.name
        say(f"{name} goes on: bottle pull {name} tries again, bottle stop --discard {name} gives its work up")
        raise BottleError(error.message, error.hint) from error
    if lines:
        say(lines.rstrip("\n"))


def _discard(bottle: Listed) -> None:
    if bottle.record is not None:
        with suppress(UnavailableError):
            ask_launcher(bottle.record.socket, DiscardRequest())
