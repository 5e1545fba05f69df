"""`bottle plugins`: what is installed, read from metadata alone."""

import sys

import click
import msgspec
from msgspec import Struct

from claude_bottle.cli.columns import align
from claude_bottle.cli.errors import reported, say
from claude_bottle.cli.installed import installed
from claude_bottle.cli.plugins_trust import command as trust_command
from claude_bottle.plugins.record import Record

__all__ = ["command"]


class _Listing(Struct, frozen=True):
    """The rows with the number of their form."""

    plugins: tuple[Record, ...]
    version: int = 1


@click.group("plugins")
def command() -> None:
    """Show the plugins that are installed."""


command.add_command(trust_command)


@command.command("list")
@click.option("--kind", type=click.Choice(["backend", "proxy", "provisioner", "agent"]), help="Of one kind alone.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def list_plugins(kind: str | None, form: str, *, debug: bool) -> None:
    """Show every installed plugin with its status; nothing is imported, so a broken one hides no other."""
    del debug
    rows = tuple(row for row in installed().records if kind in (None, row.kind))
    if form == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(_Listing(rows)), indent=2).decode() + "\n")
        return
    if not rows:
        say("no plugin is installed: pip install claude-bottle")
        return
    head = ("KIND", "NAME", "DISTRIBUTION", "STATUS")
    cells = [(row.kind, row.name, f"{row.distribution} {row.version}", row.status) for row in rows]
    sys.stdout.write(align([head, *cells]))
    for row in rows:
        if row.status != "available":
            sys.stdout.write(f"\n{row.kind} {row.name} ({row.distribution}): {row.reason}\n")
            sys.stdout.write(f"  fix: {row.fix}\n")
