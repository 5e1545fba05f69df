"""`bottle plugins new`: the project of a plugin to begin with."""

from pathlib import Path

import click

from claude_bottle.cli.errors import reported, say
from claude_bottle.seam.kinds import Kind

__all__ = ["command"]

EPILOG = """\b
Examples:
  bottle plugins new flyio --kind backend              write bottle-flyio in this folder
  bottle plugins new notes --kind provisioner --into ~/src
"""


@click.command("new", epilog=EPILOG)
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["backend", "proxy", "provisioner", "agent"]),
    required=True,
    help="What the plugin is.",
)
@click.option(
    "--into",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Where the project is written; the current folder if it is not said.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(name: str, kind: Kind, into: Path, *, debug: bool) -> None:
    """Write the project bottle-NAME: it loads and plans, and its tests name what is still to be written.

    A folder that is there is left as it is.
    """
    from claude_bottle.cli.installed import installed  # noqa: PLC0415 - a page of help reads no metadata
    from claude_bottle.scaffold.names import check_free  # noqa: PLC0415 - needed for a project alone
    from claude_bottle.scaffold.project import write_project  # noqa: PLC0415 - needed for a project alone

    del debug
    check_free(name, kind, installed())
    project = write_project(name, kind, into)
    say(f"{project} is written; its README.md says what comes next")
