"""`bottle list`: what runs, over all backends."""

import sys
import time

import click
import msgspec
from msgspec import Struct

from claude_bottle.cli.columns import align
from claude_bottle.cli.errors import reported, say
from claude_bottle.cli.installed import installed
from claude_bottle.launch.bottles import Listed, list_bottles

__all__ = ["command"]

MINUTE, HOUR, DAY = 60, 3600, 86400


NOT_UP = "starting"
"""The state of a bottle into which no command gets: its isolation is not proved yet, or it is being removed."""


class _Row(Struct, frozen=True):
    """A bottle as it is listed; the launch's own facts are null until it is up."""

    name: str
    agent: str | None
    backend: str
    proxy: str | None
    state: str
    started: float | None
    detached: bool | None
    pid: int | None


class _List(Struct, frozen=True):
    """All bottles, and the backends that could not say."""

    bottles: list[_Row]
    silent: dict[str, str]
    version: int = 1


@click.command("list")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(form: str, *, debug: bool) -> None:
    """Show the bottles that run, whoever started them; a backend that does not answer is a line."""
    del debug
    bottles, silent = list_bottles(installed())
    rows = [_row(it) for it in bottles]
    if form == "json":
        whole = _List(rows, {answer.record.name: str(answer.error) for answer in silent})
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n")
        return
    for answer in silent:
        say(f"warning: {answer.record.name}: {answer.error}")
    if not rows:
        say("no bottle runs")
        return
    head = ("NAME", "AGENT", "BACKEND", "PROXY", "STATE", "AGE")
    cells = [(it.name, it.agent or "?", it.backend, it.proxy or "?", it.state, _age(it.started)) for it in rows]
    sys.stdout.write(align([head, *cells]))


def _row(listed: Listed) -> _Row:
    handle, record = listed.handle, listed.record
    if record is None:
        return _Row(handle.name, None, listed.backend, None, NOT_UP, None, None, None)
    return _Row(
        handle.name,
        record.agent,
        listed.backend,
        record.proxy,
        handle.state,
        record.started,
        record.detach,
        record.owner.pid,
    )


def _age(started: float | None) -> str:
    if started is None:
        return "?"
    seconds = int(time.time() - started)
    for size, letter in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= size:
            return f"{seconds // size}{letter}"
    return f"{seconds}s"
