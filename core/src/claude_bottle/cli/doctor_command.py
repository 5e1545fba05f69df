"""`bottle doctor`: what each backend and proxy finds on this machine, and the cure for what is wrong."""

import click

from claude_bottle.cli.errors import FAILED, reported
from claude_bottle.cli.installed import installed
from claude_bottle.launch.bottles import Answer, ask_each
from claude_bottle.launch.team import ask
from claude_bottle.plugins.inventory import Inventory
from claude_bottle.seam.probe import ProbeResult

__all__ = ["command"]

DEADLINE = 10.0
"""Seconds that a probe may take."""

MARKS = {True: ("ok", "green"), False: ("no", "red")}


@click.command("doctor")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(*, debug: bool) -> int:
    """Check this machine for every installed backend and proxy. Exit 0 if the default set can work here."""
    del debug
    inventory = installed()
    rows = [*inventory.usable("backend"), *inventory.usable("proxy")]
    answers = ask_each(rows, lambda loaded: ask(loaded, loaded.hooks.probe), DEADLINE)
    for answer in answers:
        _show(answer)
    states = {(it.record.kind, it.record.name): it.value.state if it.value else "broken" for it in answers}
    return _verdict(inventory, {key for key, state in states.items() if state == "ready"})


def _show(answer: Answer[ProbeResult]) -> None:
    record, result = answer.record, answer.value
    state = result.state if result else "broken"
    colour = {"ready": "green", "absent": "yellow"}.get(state, "red")
    click.echo(f"{record.kind} {click.style(record.name, bold=True)}: {click.style(state, fg=colour)}")
    if result is None:
        click.echo(f"  {click.style('no', fg='red')}  {answer.error}")
        return
    for finding in result.findings:
        mark, tint = MARKS[finding.ok]
        detail = f": {finding.detail}" if finding.detail else ""
        click.echo(f"  {click.style(mark, fg=tint)}  {finding.what}{detail}")
        if not finding.ok and finding.cure:
            click.echo(f"      {finding.cure}")


def _verdict(inventory: Inventory, ready: set[tuple[str, str]]) -> int:
    for pair in inventory.defaults.preference:
        if ("backend", pair.backend) in ready and ("proxy", pair.proxy) in ready:
            click.echo(f"\nbottle start uses {pair.backend} and {pair.proxy} here, unless told otherwise")
            return 0
    click.echo("\nno default backend and proxy are ready here")
    return FAILED
