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

LOOK = 20.0
"""Seconds that it may take to look: an engine that is busy has much to clean up, too."""


@click.command("cleanup")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="List alone.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(*, yes: bool, dry_run: bool, debug: bool) -> int:
    """Remove what launches left that did not end by themselves: never a live bottle, nor another machine's."""
    del debug
    found, silent = _find()
    own = _own()
    outcome = FAILED if silent else 0
    if not found and not own:
        say("nothing else is left over" if silent else "nothing is left over")
        return outcome
    for record, plan in found.items():
        for line in plan.lines():
            click.echo(f"{record.name}: {line}")
    for line in own:
        click.echo(line)
    if dry_run:
        return outcome
    if not yes and not stdin_is_terminal():
        raise BottleError("there is no terminal to ask on", "add --yes, or only look with --dry-run")
    if not yes and not click.confirm("remove?", default=False, err=True):
        return FAILED
    for remove in own.values():
        remove()
    return _remove_all(found) or outcome


def _own() -> dict[str, Callable[[], None]]:
    """Return what core itself wrote for launches that are gone, and what removes each."""
    records = {f"record of launch {label}": partial(forget, label) for label in dead_labels()}
    folders = {
        f"kept empty by launch {path.stem}: {', '.join(found.lines()) or 'nothing more'}": partial(forget_bound, path)
        for found, path in find_leftovers()
    }
    logs = {f"messages of a detached launch {log}": partial(log.unlink, missing_ok=True) for log in dead_logs()}
    return {**records, **folders, **logs}


def _find() -> tuple[dict[Record, CleanupPlan], bool]:
    """Return what each backend and provisioner would remove, and whether one could not say, which is a warning."""
    inventory = installed()
    answers = ask_each([*inventory.usable("backend"), *inventory.usable("provisioner")], _planned, LOOK)
    silent = [answer for answer in answers if answer.error]
    for answer in silent:
        say(f"warning: {answer.record.name}: {answer.error}")
    plans = ((answer.record, plan) for answer in answers for plan in answer.value or ())
    return {record: plan for record, plan in plans if plan.lines()}, bool(silent)


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
