"""`bottle doctor`: what each backend and proxy finds on this machine, and the cure for what is wrong."""

from collections.abc import Mapping

import click

from claude_bottle.cli.errors import FAILED, reported
from claude_bottle.cli.installed import installed
from claude_bottle.launch.bottles import Answer
from claude_bottle.launch.examine import probe_each
from claude_bottle.launch.machine import look_at_machine, this_machine
from claude_bottle.plugins.inventory import Inventory
from claude_bottle.seam.kinds import Kind
from claude_bottle.seam.printable import printable
from claude_bottle.seam.probe import Finding, ProbeResult

__all__ = ["command"]

MARKS = {True: ("ok", "green"), False: ("no", "red")}


@click.command("doctor")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(*, debug: bool) -> int:
    """Check this machine for every installed backend and proxy. Exit 0 if the default set can work here.

    Each is asked in a process of its own, all at the same time; one that has no answer soon is a line that says so.
    """
    del debug
    inventory = installed()
    rows = [*inventory.usable("backend"), *inventory.usable("proxy")]
    answers = probe_each(rows)
    click.echo(click.style("machine", bold=True))
    for finding in look_at_machine(this_machine()):
        _show_finding(finding)
    for answer in answers:
        _show(answer)
    return _verdict(
        inventory, {(it.record.kind, it.record.name): it.value.state if it.value else "broken" for it in answers}
    )


def _show(answer: Answer[ProbeResult]) -> None:
    record, result = answer.record, answer.value
    state = result.state if result else "broken"
    colour = {"ready": "green", "absent": "yellow"}.get(state, "red")
    click.echo(f"{record.kind} {click.style(record.name, bold=True)}: {click.style(state, fg=colour)}")
    if result is None:
        fix = f"pip install --upgrade {record.distribution}, or leave it out: `block: [{record.name}]` in config.yaml"
        cure = answer.error.hint if answer.error else None
        _show_finding(Finding(what=printable(str(answer.error)), ok=False, cure=cure or fix))
        return
    for finding in result.findings:
        _show_finding(finding)


def _show_finding(finding: Finding) -> None:
    mark, tint = MARKS[finding.ok]
    detail = f": {finding.detail}" if finding.detail else ""
    click.echo(f"  {click.style(mark, fg=tint)}  {finding.what}{detail}")
    if not finding.ok and finding.cure:
        click.echo(f"      {finding.cure}")


def _verdict(inventory: Inventory, states: Mapping[tuple[Kind, str], str]) -> int:
    """Say what a start would take, as it chooses: an absent backend is passed over, a broken one never is."""
    for pair in inventory.defaults.preference:
        state = states.get(("backend", pair.backend), "absent")
        if state == "absent":
            continue
        wanted: tuple[tuple[Kind, str], ...] = (("backend", pair.backend), ("proxy", pair.proxy))
        broken = [name for kind, name in wanted if states.get((kind, name)) != "ready"]
        if not broken:
            click.echo(f"\nbottle start uses {pair.backend} and {pair.proxy} here, unless told otherwise")
            return 0
        click.echo(f"\nbottle start would take {pair.backend} and {pair.proxy}, but {broken[0]} is not ready here")
        click.echo("mend it, or name others with --backend and --proxy or in config.yaml")
        return FAILED
    click.echo("\nno default backend and proxy are ready here")
    return FAILED
