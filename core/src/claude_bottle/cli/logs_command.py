"""`bottle logs`: what a bottle's proxy allowed and refused."""

import sys
import time
from collections.abc import Iterable

import click

from claude_bottle.cli.errors import reported, say
from claude_bottle.launch.evidence import find_evidence, follow, label_of, read_events
from claude_bottle.launch.record import live_records
from claude_bottle.seam.event import Event
from claude_bottle.seam.printable import printable

__all__ = ["command"]

COLOURS = {"allow": "green", "warn": "yellow", "deny": "red"}
EPILOG = """\b
Examples:
  bottle logs                      the newest launch
  bottle logs reviewer -f          follow it while it runs
  bottle logs reviewer --format json | jq 'select(.verdict == "deny")'
"""


@click.command("logs", epilog=EPILOG)
@click.argument("name", required=False)
@click.option("--follow", "-f", "follows", is_flag=True, help="Go on until the bottle ends.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json: one object a line.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(name: str | None, form: str, *, follows: bool, debug: bool) -> None:
    """Show every decision of the proxy of the bottle or agent NAME, running or ended; of the newest without one."""
    del debug
    path = find_evidence(name)
    label = label_of(path)
    lines = follow(path, alive=lambda: follows and any(it.label == label for it in live_records()))
    try:
        _show(lines, form)
    except KeyboardInterrupt:
        return


def _show(lines: Iterable[bytes], form: str) -> None:
    if form == "json":
        for line in lines:
            if any(read_events([line])):
                sys.stdout.buffer.write(line + b"\n")
                sys.stdout.buffer.flush()
        return
    count = 0
    for count, event in enumerate(read_events(lines), 1):  # noqa: B007 - how many there were
        click.echo(_line(event))
    if not count:
        say("its proxy has decided nothing: no program inside has asked for a way out")


def _line(event: Event) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(event.time))
    verdict = click.style(f"{event.verdict:<5}", fg=COLOURS[event.verdict])
    port = "" if event.port in (None, 443) else f":{event.port}"
    what = " ".join(part for part in (event.method, f"{event.host}{port}{event.path}") if part)
    status = f" {event.status}" if event.status else ""
    reason = f"  {event.reason}" if event.reason and event.verdict != "allow" else ""
    return f"{clock}  {verdict}  {printable(f'{what}{status}{reason}')}"
