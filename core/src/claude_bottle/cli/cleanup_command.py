"""`bottle cleanup`: lists what crashed launches left, asks, removes."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import click

from claude_bottle.cli.errors import FAILED, reported, say
from claude_bottle.cli.installed import installed
from claude_bottle.cli.surroundings import stdin_is_terminal
from claude_bottle.errors import BottleError
from claude_bottle.launch.bottles import ask_each
from claude_bottle.launch.bound import find_leftovers, forget_bound
from claude_bottle.launch.detach import dead_logs
from claude_bottle.launch.record import dead_labels, forget
from claude_bottle.plugins.load import Loaded
from claude_bottle.plugins.record import Record
from claude_bottle.seam.cleanup import CleanupPlan

__all__ = ["command"]

DEADLINE = 120.0
"""Seconds that a plugin may take to remove what it listed."""


@click.command("cleanup")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="List alone.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(*, yes: bool, dry_run: bool, debug: bool) -> int:
    """Remove what launches left that did not end by themselves: never a live bottle, nor another machine's."""
    del debug
    found = _find()
    own = _own()
    if not found and not own:
        say("nothing is left over")
        return 0
    for record, plan in found.items():
        for line in plan.lines():
            click.echo(f"{record.name}: {line}")
    for line in own:
        click.echo(line)
    if dry_run:
        return 0
    if not yes and not stdin_is_terminal():
        raise BottleError("there is no terminal to ask on", "add --yes, or only look with --dry-run")
    if not yes and not click.confirm("remove?", default=False, err=True):
        return FAILED
    for remove in own.values():
        remove()
    return _remove_all(found)


def _own() -> dict[str, Callable[[], None]]:
    """Return what core itself wrote for launches that are gone, and what removes each."""
    records = {f"record of launch {label}": partial(forget, label) for label in dead_labels()}
    folders = {
        f"kept empty by launch {path.stem}: {', '.join(found.lines()) or 'nothing more'}": partial(forget_bound, path)
        for found, path in find_leftovers()
    }
    logs = {f"messages of a detached launch {log}": partial(log.unlink, missing_ok=True) for log in dead_logs()}
    return {**records, **folders, **logs}


def _find() -> dict[Record, CleanupPlan]:
    """Return what each backend and provisioner would remove; one that cannot say is a warning."""
    inventory = installed()
    answers = ask_each([*inventory.usable("backend"), *inventory.usable("provisioner")], _planned)
    for answer in answers:
        if answer.error:
            say(f"warning: {answer.record.name}: {answer.error}")
    plans = ((answer.record, plan) for answer in answers for plan in answer.value or ())
    return {record: plan for record, plan in plans if plan.lines()}


def _planned(loaded: Loaded) -> Sequence[CleanupPlan]:
    plan = loaded.hooks.plan_cleanup()
    return () if plan is None else (plan,)


def _remove_all(found: Mapping[Record, CleanupPlan]) -> int:
    removed = ask_each(list(found), lambda loaded: _remove(loaded, found[loaded.record]), DEADLINE)
    failed = [answer for answer in removed if answer.error]
    for answer in failed:
        say(f"error: {answer.record.name}: {answer.error}")
    return FAILED if failed else 0


def _remove(loaded: Loaded, plan: CleanupPlan) -> bool:
    loaded.hooks.cleanup(plan=plan)
    return True
