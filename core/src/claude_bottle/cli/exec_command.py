"""`bottle exec`: a command, or the script on stdin, in a running bottle."""

import click

from claude_bottle.cli.errors import LAUNCH_FAILED, reported
from claude_bottle.cli.running import proved_bottle

__all__ = ["command"]

EPILOG = """\b
Examples:
  bottle exec reviewer -- git status
  bottle exec reviewer -- bash                     a shell in this terminal
  echo 'curl -sS https://example.com' | bottle exec reviewer
"""


@click.command("exec", epilog=EPILOG)
@click.argument("name")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.option("--root", is_flag=True, help="As root inside, where the backend has that.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported(LAUNCH_FAILED)
def command(name: str, words: tuple[str, ...], *, root: bool, debug: bool) -> int:
    """Run a command in the bottle NAME, with the bottle's own environment; its exit code is ours.

    Without a command, the script on stdin is run by /bin/sh.
    """
    del debug
    return proved_bottle(name)[0].attach(words or ("/bin/sh", "-s"), root=root)
