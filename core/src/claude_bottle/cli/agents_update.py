"""`bottle agents update`: shows which agents have newer releases, asks, and notes them for the launches to come."""

from collections.abc import Iterator
from pathlib import Path

import click
from msgspec import Struct

from claude_bottle.cli.errors import FAILED, reported, say
from claude_bottle.cli.installed import installed
from claude_bottle.cli.surroundings import stdin_is_terminal
from claude_bottle.errors import BottleError, NotFoundError
from claude_bottle.launch.programs import Update, find_update, keep_update
from claude_bottle.launch.team import ask
from claude_bottle.manifest.types import Egress
from claude_bottle.plan.spec import BottleSpec, Choice, Draft
from claude_bottle.plugins.load import Loaded, load
from claude_bottle.seam.folders import state_dir
from claude_bottle.seam.part import Part, Program

__all__ = ["command"]

EPILOG = """\b
Examples:
  bottle agents update            every agent that is installed
  bottle agents update claude     one of them
"""


@click.command("update", epilog=EPILOG)
@click.argument("names", metavar="[AGENT]...", nargs=-1)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show what would change, alone.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(names: tuple[str, ...], *, yes: bool, dry_run: bool, debug: bool) -> int:
    """Show which agents have newer releases than the one in use, ask, and use them from the next launch on.

    Nothing is fetched yet: the next launch does that, and holds it to the sha512 that is noted here.
    """
    del debug
    updates = list(_find(names))
    for update in updates:
        click.echo(f"{update.program.name}: {update.using} -> {update.program.version}")
        for package in update.program.packages:
            click.echo(f"  {package.name}@{package.version} ({package.machine or 'any machine'}) {package.integrity}")
    if not updates:
        say("every agent is up to date")
    if not updates or dry_run:
        return 0
    if not yes and not stdin_is_terminal():
        raise BottleError("there is no terminal to ask on", "add --yes, or only look with --dry-run")
    if not yes and not click.confirm("use these from now on?", default=False, err=True):
        return FAILED
    for update in updates:
        keep_update(update, state_dir())
    return 0


def _find(names: tuple[str, ...]) -> Iterator[Update]:
    """Yield what is newer, of the agents with these names or of all."""
    records = installed().usable("agent")
    if unknown := sorted(set(names) - {record.name for record in records}):
        known = ", ".join(sorted(record.name for record in records))
        raise NotFoundError(f"there is no agent {unknown[0]}", f"agents that may be used: {known}")
    for record in records:
        if names and record.name not in names:
            continue
        for program in _programs(load(record)):
            if (update := find_update(program, state_dir())) is not None:
                yield update


def _programs(loaded: Loaded) -> tuple[Program, ...]:
    """Return what an agent puts into a bottle of which a manifest says nothing."""
    nobody = Choice("none", "no launch")
    spec = BottleSpec(
        agent=loaded.name,
        slug=loaded.name,
        bottle=loaded.name,
        agent_plugin=loaded.name,
        backend=nobody,
        proxy=nobody,
        egress=Egress(),
        folder=Path("/"),
        sections=((loaded.name, loaded.plugin.section()),),
    )
    part: Part[Struct] = ask(loaded, lambda: loaded.hooks.resolve_plan(spec=spec, draft=Draft()))
    return part.programs
