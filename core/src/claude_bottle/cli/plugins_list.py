"""`bottle plugins list`: every installed plugin, from metadata and from what earlier loads found."""

import sys
from collections.abc import Iterable, Sequence
from textwrap import fill

import click
import msgspec
from msgspec import Struct

from claude_bottle.cli.columns import align, fit
from claude_bottle.cli.diagnosing import ask_user, load_all, look, open_memory
from claude_bottle.cli.errors import reported, say
from claude_bottle.cli.installed import installed
from claude_bottle.declare import KIND_HOOKS
from claude_bottle.plugins.diagnosis import Row, diagnose
from claude_bottle.plugins.inventory import Inventory
from claude_bottle.plugins.record import Unreadable
from claude_bottle.seam.printable import printable

__all__ = ["command"]

HOOKS = sorted(frozenset[str]().union(*KIND_HOOKS.values()))
WIDTH = 80


class _Listing(Struct, frozen=True):
    """The rows with the number of their form."""

    plugins: tuple[Row, ...]
    unreadable: tuple[Unreadable, ...] = ()
    version: int = 2


@click.command("list", epilog="\b\nExample:\n  bottle plugins list --load         load each, and say what it costs\n")
@click.option("--kind", type=click.Choice(["backend", "proxy", "provisioner", "agent"]), help="Of one kind alone.")
@click.option("--hook", type=click.Choice(HOOKS), metavar="HOOK", help="That implement a hook, as far as is known.")
@click.option("--load", is_flag=True, help="Load what may be loaded, each in a process of its own, and look.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(kind: str | None, hook: str | None, form: str, *, load: bool, debug: bool) -> None:
    """Show every installed plugin with its status and what selects it here.

    Nothing is imported without --load: the hooks of a plugin, and that it does not load, are known from the last
    time that it was loaded as it is installed now.
    """
    del debug
    inventory = installed()
    rows = [row for row in _rows(inventory, load=load) if kind in (None, row.kind)]
    unknown = [row for row in rows if row.hooks is None]
    if hook:
        rows = [row for row in rows if hook in (row.hooks or ())]
    if form == "json":
        whole = _Listing(tuple(rows), inventory.unreadable)
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n")
        return
    _write(rows, inventory.unreadable, load=load)
    if hook and unknown:
        say(f"not known of {', '.join(row.name for row in unknown)}: --load looks")


def _rows(inventory: Inventory, *, load: bool) -> tuple[Row, ...]:
    if not load:
        return diagnose(inventory, ask_user(), open_memory().recall(inventory.records))
    outcomes = load_all([row for row in inventory.records if row.status == "available"])
    return diagnose(inventory, ask_user(look(inventory)), outcomes)


def _write(rows: Sequence[Row], unreadable: Iterable[Unreadable], *, load: bool) -> None:
    if rows:
        head = ("KIND", "NAME", "DISTRIBUTION", "SELECTED BY", "STATUS")
        cells = [(it.kind, it.name, f"{it.distribution} {it.version}", it.by or "-", it.status) for it in rows]
        _table([head, *cells])
    else:
        say("no plugin is installed: pip install claude-bottle")
    if load and (measured := [row for row in rows if row.import_seconds is not None]):
        head = ("KIND", "NAME", "IMPORT", "MODULES", "HOOKS")
        costs = [(it.kind, it.name, _cost(it), str(it.modules), ", ".join(it.hooks or ())) for it in measured]
        sys.stdout.write("\n")
        _table([head, *costs])
    for row in rows:
        who = f"{row.kind} {row.name} ({row.distribution})"
        if row.reason:
            _trouble(who, row.reason, row.fix)
        if row.by == "absent":
            _trouble(who, row.why, "bottle doctor says what is missing here")
        if row.duplicates:
            fix = f"pip uninstall {row.distribution}, until nothing is left, and install it once"
            _trouble(who, f"also in {', '.join(row.duplicates)}, which is passed over", fix)
    for one in unreadable:
        _trouble(one.location, one.reason, one.fix)


def _table(rows: Sequence[Sequence[str]]) -> None:
    sys.stdout.write(align(fit([[printable(cell) for cell in row] for row in rows], WIDTH)))


def _cost(row: Row) -> str:
    return f"{(row.import_seconds or 0) * 1000:.0f} ms"


def _trouble(who: str, reason: str, fix: str) -> None:
    """Write what is wrong, and the command that mends it in one line, so that it can be copied."""
    text = fill(printable(f"{who}: {reason}"), WIDTH, break_long_words=False, break_on_hyphens=False)
    sys.stdout.write(f"\n{text}\n  fix: {printable(fix)}\n")
