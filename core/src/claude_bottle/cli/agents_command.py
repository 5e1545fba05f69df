"""`bottle agents`: the programs of the agents, which nothing else updates."""

import click

from claude_bottle.cli.group import Lazy, LazyGroup

__all__ = ["command"]

COMMANDS = {"update": Lazy("agents_update", "Look for newer releases of the agents' programs, and ask.")}


@click.group("agents", cls=LazyGroup, lazy=COMMANDS)
def command() -> None:
    """Look after the programs of the agents: no bottle updates itself."""
