"""`bottle pull`: what was done in a bottle comes out, and the bottle goes on."""

import click

from claude_bottle.cli.errors import reported, say
from claude_bottle.cli.running import proved_bottle
from claude_bottle.launch.control import PullRequest, ask_launcher

__all__ = ["command"]


@click.command("pull", epilog="\b\nExample:\n  bottle pull reviewer && git log bottle/reviewer\n")
@click.argument("name")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(name: str, *, debug: bool) -> None:
    """Bring out what was done in the bottle NAME so far. It goes on; one that was kept for this is removed."""
    del debug
    bottle, record = proved_bottle(name, ended="what came out of one that has ended: git branch --list 'bottle/*'")
    lines = ask_launcher(record.socket, PullRequest(), patience=None).decode()
    say(lines.rstrip("\n") or f"nothing new in {bottle.name}")
