"""`bottle diff`: what was done in a bottle, shown."""

import sys

import click

from claude_bottle.cli.errors import reported, say
from claude_bottle.cli.running import proved_bottle
from claude_bottle.launch.control import CompareRequest, ask_launcher

__all__ = ["command"]

EPILOG = """\b
Examples:
  bottle diff reviewer
  bottle diff reviewer > review.patch
"""


@click.command("diff", epilog=EPILOG)
@click.argument("name")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(name: str, *, debug: bool) -> None:
    """Show what `bottle pull` would bring out of the bottle NAME: commits, and what is not committed."""
    del debug
    bottle, record = proved_bottle(name)
    text = ask_launcher(record.socket, CompareRequest(), patience=None)
    if not text:
        say(f"nothing new in {bottle.name}")
    elif sys.stdout.isatty():
        click.echo_via_pager(_shown(text))
    else:
        sys.stdout.buffer.write(text)


def _shown(text: bytes) -> str:
    """Return a text for a terminal: no sequence that an agent wrote reaches it."""
    return "".join(
        char if char in "\n\t" or char.isprintable() else f"\\x{ord(char):02x}"
        for char in text.decode("utf-8", "replace")
    )
