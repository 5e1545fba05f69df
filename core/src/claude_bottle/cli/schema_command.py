"""`bottle schema`: the JSON Schema of the manifest with what is installed."""

import sys

import click
import msgspec

from claude_bottle.cli.errors import reported, say
from claude_bottle.cli.installed import installed
from claude_bottle.launch.bottles import ask_each
from claude_bottle.manifest.schema import schema

__all__ = ["command"]


@click.command("schema", epilog="\b\nExample:\n  bottle schema > bottle.schema.json\n")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(*, debug: bool) -> None:
    """Print the JSON Schema of bottle.yaml, with the sections of every installed plugin that may be loaded."""
    del debug
    rows = [row for row in installed().records if row.status == "available"]
    answers = ask_each(rows, lambda loaded: loaded.plugin.section)
    for answer in answers:
        if answer.error:
            say(f"warning: {answer.record.name} is left out: {answer.error}")
    sections = {answer.record.name: answer.value for answer in answers if answer.value}
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(schema(sections)), indent=2).decode() + "\n")
