"""`bottle attach`: the agent of a running bottle, in this terminal."""

import click

from claude_bottle.cli.errors import LAUNCH_FAILED, reported
from claude_bottle.cli.running import proved_bottle

__all__ = ["command"]


@click.command("attach", epilog="\b\nExample:\n  bottle start reviewer --yes --detach && bottle attach reviewer\n")
@click.argument("name")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported(LAUNCH_FAILED)
def command(name: str, *, debug: bool) -> int:
    """Run the agent of the bottle NAME in this terminal. When it ends, the bottle goes on."""
    del debug
    bottle, record = proved_bottle(name)
    return bottle.attach(record.argv)
