"""`bottle plugins info`: all that is known of one plugin."""

import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from textwrap import fill
from typing import Any, cast

import click
import msgspec
from msgspec import Struct

from claude_bottle.cli.columns import align, fit
from claude_bottle.cli.diagnosing import ask_user, load_all, look, open_memory, rows_named
from claude_bottle.cli.errors import reported
from claude_bottle.cli.installed import installed
from claude_bottle.errors import BottleError, UsageError
from claude_bottle.launch.importtime import Imported, measure_import
from claude_bottle.launch.portrait import Portrait, portray
from claude_bottle.plugins.diagnosis import Row, diagnose
from claude_bottle.plugins.options import Option
from claude_bottle.plugins.record import Record
from claude_bottle.seam.printable import printable

__all__ = ["command"]

WIDTH = 80
SHOWN = 12
"""Modules in the text: the slowest; JSON has all."""

INDENT: Any = {"subsequent_indent": " " * 16, "break_long_words": False, "break_on_hyphens": False}

NOTHING = Portrait(options=(), traits={})


class _Info(Struct, frozen=True, kw_only=True):
    """One plugin, with the number of this form; what is empty where it was not loaded: options, traits, imports.

    `imports`: each module with the milliseconds that its import took in a fresh interpreter, importers first.
    """

    plugin: Row
    requirements: tuple[str, ...]
    options: tuple[Option, ...]
    traits: Mapping[str, Any]
    imports: tuple[Imported, ...]
    version: int = 1


@click.command("info")
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(name: str, form: str, *, debug: bool) -> None:
    """Show all that is known of one plugin, by NAME or KIND/NAME: options, hooks, traits, and what its import costs.

    It is loaded in a process of its own, unless it may not be: then what its metadata say is all there is.
    """
    del debug
    info = _info(name)
    if form == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(info), indent=2).decode() + "\n")
        return
    _write(info)


def _info(name: str) -> _Info:
    inventory = installed()
    rows = rows_named(name, inventory)
    if len({(row.kind, row.name) for row in rows}) > 1:
        raise UsageError(f"{name} is more than one plugin", f"name one: {', '.join(_full(row) for row in rows)}")
    record = next((row for row in rows if row.status == "available"), rows[0])
    outcomes = load_all([record]) if record.status == "available" else open_memory().recall((record,))
    row = next(it for it in diagnose(inventory, ask_user(look(inventory)), outcomes) if _same(it, record))
    portrait, imports = NOTHING, tuple[Imported, ...]()
    if row.status in {"available", "active"}:
        try:
            portrait, imports = portray(record), measure_import(record.target)
        except BottleError as error:
            row = msgspec.structs.replace(row, status="failed", reason=error.message, fix=error.hint or "")
    return _Info(
        plugin=row,
        requirements=_requirements(record),
        options=portrait.options,
        traits=portrait.traits,
        imports=imports,
    )


def _full(row: Record) -> str:
    return f"{row.kind}/{row.name}"


def _same(row: Record, record: Record) -> bool:
    return (row.kind, row.name, row.distribution) == (record.kind, record.name, record.distribution)


def _requirements(record: Record) -> tuple[str, ...]:
    found = metadata.distributions(name=record.distribution, path=[record.location])
    return next((tuple(it.requires or ()) for it in found), ())


def _write(info: _Info) -> None:
    row = info.plugin
    click.echo(click.style(printable(f"{row.kind} {row.name}"), bold=True))
    for key, value in _facts(info):
        sys.stdout.write(fill(printable(value), WIDTH, initial_indent=f"  {key:<14}", **INDENT) + "\n")
    if info.options:
        click.echo(f"\noptions of the section `{row.name}` of a bottle")
        cells = [(f"  {it.name}", it.type, "required" if it.default is None else it.default) for it in info.options]
        _table([("  NAME", "TYPE", "DEFAULT"), *cells])
    if info.imports:
        slow = sorted(info.imports, key=lambda it: -it.total)[:SHOWN]
        click.echo(f"\nwho imports what: {len(info.imports)} modules, the slowest")
        shown = [it for it in info.imports if it in slow]
        _table(
            [("  TOTAL", "OWN", "MODULE"), *((f"  {it.total:.1f} ms", f"{it.own:.1f} ms", _tree(it)) for it in shown)]
        )


def _table(rows: list[tuple[str, str, str]]) -> None:
    sys.stdout.write(align(fit([[printable(cell) for cell in row] for row in rows], WIDTH)))


def _tree(imported: Imported) -> str:
    return f"{'  ' * imported.depth}{imported.module}"


def _facts(info: _Info) -> Iterator[tuple[str, str]]:
    row = info.plugin
    yield "status", row.status
    if row.reason:
        yield "reason", row.reason
        yield "fix", row.fix
    yield "selected", {True: "yes", False: "no", None: "perhaps"}[row.selected] + f": {row.why}"
    yield "distribution", f"{row.distribution} {row.version} ({row.origin})"
    yield "location", row.location
    for place in row.duplicates:
        yield "also in", f"{place}, which is passed over"
    yield "entry point", row.target
    yield "core", row.requires or "any version"
    for requirement in info.requirements:
        yield "requires", requirement
    unknown = "not known, it does not load" if row.status == "failed" else "not known, it was never loaded"
    yield "hooks", unknown if row.hooks is None else ", ".join(row.hooks) or "none"
    if row.import_seconds is not None:
        yield "import", f"{row.import_seconds * 1000:.0f} ms, {row.modules} modules that core has not"
    for name, value in info.traits.items():
        for each in cast("list[Any]", value) if isinstance(value, list) else [value]:
            yield name, _text(each)


def _text(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
