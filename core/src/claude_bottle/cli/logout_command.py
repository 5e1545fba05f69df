"""`bottle logout`: removes what `bottle login` stored."""

import click

from claude_bottle.cli.errors import reported, say
from claude_bottle.cli.surroundings import read_surroundings
from claude_bottle.launch.logins import Logins

__all__ = ["command"]


@click.command("logout", epilog="\b\nExample:\n  bottle logout claude\n")
@click.argument("agent")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(agent: str, *, debug: bool) -> int:
    """Remove the stored token or key of AGENT. It stays valid where it was made: revoke it there."""
    del debug
    gone = Logins(read_surroundings().state_dir).forget(agent)
    for it in gone:
        say(f"removed {it.name} from {'the keyring' if it.where == 'keyring' else 'its file'}")
    if not gone:
        say(f"nothing is stored for {agent}")
    return 0
