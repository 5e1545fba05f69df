"""`bottle plugins`: what is installed, and what is wrong with it."""

import click

from claude_bottle.cli.group import Lazy, LazyGroup

__all__ = ["command"]

COMMANDS = {
    "list": Lazy("plugins_list", "Show every installed plugin with its status."),
    "check": Lazy("plugins_check", "Load plugins, and say what is wrong with them."),
    "info": Lazy("plugins_info", "Show all that is known of one plugin."),
    "conform": Lazy("plugins_conform", "Run the conformance kit against a plugin."),
    "trust": Lazy("plugins_trust", "Let a third party's plugins be loaded."),
    "new": Lazy("plugins_new", "Write the project of a plugin to begin with."),
}


@click.group("plugins", cls=LazyGroup, lazy=COMMANDS)
def command() -> None:
    """Show the plugins that are installed, and what is wrong with them."""
