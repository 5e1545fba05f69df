"""`bottle plugins check`: loads plugins, each in a process of its own, and says what is wrong with them."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import click

from claude_bottle.cli.diagnosing import ask_user, load_all, rows_named
from claude_bottle.cli.errors import FAILED, reported
from claude_bottle.cli.installed import installed
from claude_bottle.errors import PluginError, UsageError
from claude_bottle.plugins.inventory import Inventory
from claude_bottle.plugins.record import Outcome, Record
from claude_bottle.plugins.select import BACKEND_VARIABLE, PROXY_VARIABLE
from claude_bottle.seam.kinds import Kind
from claude_bottle.seam.printable import printable

__all__ = ["command"]

SLOW = 0.5
"""Seconds from which on an import is worth a word: every launch with that plugin waits for it."""

ORDER = "the order of preference"


class _Verdict(NamedTuple):
    """One line: what was looked at, whether it can be loaded, and what to do; `needed`: a no is a failure."""

    who: str
    text: str
    fix: str = ""
    ok: bool = False
    needed: bool = True


@click.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="All that may be loaded, and all that is selected by itself.")
@click.option("--deadline", type=click.FloatRange(min=0.1), help="Seconds that a load may take; default: 10.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(names: tuple[str, ...], deadline: float | None, *, every: bool, debug: bool) -> int:
    """Load plugins, by NAME, KIND/NAME or distribution, and say what is wrong. Exit 1 if one that is needed fails.

    Needed is what is named. With --all: whatever may be loaded, and what the order of preference, the environment
    or config.yaml names, installed or not. Nobody's code is run that you have not trusted.
    """
    del debug
    if not names and not every:
        raise UsageError("nothing to check", "name a plugin, or add --all")
    inventory = installed()
    verdicts = _verdicts(names, inventory, deadline, every=every)
    for verdict in verdicts:
        _show(verdict)
    return FAILED if any(it.needed and not it.ok for it in verdicts) else 0


def _verdicts(names: tuple[str, ...], inventory: Inventory, deadline: float | None, *, every: bool) -> list[_Verdict]:
    rows: dict[Record, bool] = {}
    verdicts: list[_Verdict] = []
    for name in names:
        try:
            rows |= dict.fromkeys(rows_named(name, inventory), True)
        except PluginError as error:
            verdicts.append(_Verdict(f"plugin {name}", "it is not installed", error.hint or ""))
    if every:
        wanted = dict(_wanted(inventory))
        rows = {row: _is_needed(row, wanted, inventory) for row in inventory.records} | rows
        verdicts += _missing(wanted, inventory)
        verdicts += [_Verdict(it.location, it.reason, it.fix, needed=False) for it in inventory.unreadable]
    outcomes = load_all([row for row in rows if row.status == "available"], deadline)
    return [*(_judge(row, outcomes, needed=needed) for row, needed in rows.items()), *verdicts]


def _wanted(inventory: Inventory) -> Iterator[tuple[tuple[Kind, str], str]]:
    """Yield what is selected without a flag or a manifest, and by what."""
    asked = ask_user()
    for pair in inventory.defaults.preference:
        yield ("backend", pair.backend), ORDER
        yield ("proxy", pair.proxy), ORDER
    if (choice := asked.backend.first(BACKEND_VARIABLE)) is not None:
        yield ("backend", choice.name), choice.why
    if (choice := asked.proxy.first(PROXY_VARIABLE)) is not None:
        yield ("proxy", choice.name), choice.why


def _is_needed(row: Record, wanted: Mapping[tuple[Kind, str], str], inventory: Inventory) -> bool:
    """Whether it may be loaded, or is selected and nobody else of its name may be; who is blocked is not missed."""
    if row.status == "available":
        return True
    others = {other.status for other in inventory.named(row.kind, row.name)}
    why = wanted.get((row.kind, row.name), ORDER)
    return (row.kind, row.name) in wanted and "available" not in others and (why != ORDER or "blocked" not in others)


def _missing(wanted: Mapping[tuple[Kind, str], str], inventory: Inventory) -> Iterator[_Verdict]:
    for (kind, name), why in wanted.items():
        if not inventory.named(kind, name):
            owner = inventory.defaults.owner(kind, name)
            fix = f"pip install {owner}" if owner else f"install it, or select another {kind}"
            yield _Verdict(f"{kind} {name}", f"it is not installed, and is selected by {why}", fix)


def _judge(row: Record, outcomes: Mapping[Record, Outcome], *, needed: bool) -> _Verdict:
    who = f"{row.kind} {row.name} ({row.distribution} {row.version})"
    outcome = outcomes.get(row)
    if outcome is None:
        return _Verdict(who, f"{row.status}, not loaded: {row.reason}", row.fix, needed=needed)
    if outcome.error:
        return _Verdict(who, outcome.error, outcome.hint, needed=needed)
    seconds = outcome.seconds or 0
    if outcome.going:
        fix = f"pip install --upgrade {row.distribution}, or tell its author"
        return _Verdict(who, f"outdated: {'; '.join(outcome.going)}", fix, ok=True)
    cost = f"{len(outcome.hooks)} hooks, {seconds * 1000:.0f} ms, {outcome.modules} modules"
    if seconds < SLOW:
        return _Verdict(who, cost, ok=True)
    return _Verdict(who, f"{cost}: slow to import", f"bottle plugins info {row.kind}/{row.name}", ok=True)


def _show(verdict: _Verdict) -> None:
    mark, colour = ("ok", "green") if verdict.ok else ("no", "red" if verdict.needed else "yellow")
    click.echo(f"{click.style(mark, fg=colour)}  {printable(f'{verdict.who}: {verdict.text}')}")
    if verdict.fix:
        click.echo(f"    fix: {printable(verdict.fix)}")
