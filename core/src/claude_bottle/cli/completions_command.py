"""`bottle completions`: what a shell sources to complete commands and options."""

import click
from click.shell_completion import get_completion_class

from claude_bottle.cli.errors import reported
from claude_bottle.errors import BottleError

__all__ = ["command"]

EPILOG = """\b
Examples:
  bottle completions bash >> ~/.bashrc
  bottle completions fish > ~/.config/fish/completions/bottle.fish
"""


@click.command("completions", epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@reported()
def command(shell: str) -> None:
    """Print the completions of `bottle` for SHELL."""
    from claude_bottle.cli.group import cli  # noqa: PLC0415 - the group imports this module by name

    found = get_completion_class(shell)
    if found is None:
        raise BottleError(f"there are no completions for {shell}")
    click.echo(found(cli, {}, "bottle", "_BOTTLE_COMPLETE").source())
