"""`bottle stop`: ends bottles and removes them."""

import click

from claude_bottle.cli.errors import reported, say
from claude_bottle.cli.running import running_bottle

__all__ = ["command"]


@click.command("stop", epilog="\b\nExample:\n  bottle stop reviewer\n")
@click.argument("names", nargs=-1, required=True)
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(names: tuple[str, ...], *, debug: bool) -> None:
    """End the bottles NAMES and everything in them; what they left on record stays."""
    del debug
    for name in names:
        handle = running_bottle(name).handle
        handle.stop()
        say(f"stopped {handle.name}")
