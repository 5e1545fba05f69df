"""`bottle init`: a manifest to begin with."""

import os
from pathlib import Path

import click

from claude_bottle.cli.errors import reported, say
from claude_bottle.errors import BottleError
from claude_bottle.manifest.find import MANIFEST_NAME
from claude_bottle.manifest.template import TEMPLATE

__all__ = ["command"]


@click.command("init")
@click.option("--file", "-f", type=click.Path(path_type=Path), default=Path(MANIFEST_NAME), show_default=True)
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(file: Path, *, debug: bool) -> None:
    """Write a manifest with one bottle and one agent; a file that is there is left as it is."""
    del debug
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError as error:
        raise BottleError(f"{file} is there already", "edit it, or name another one with --file") from error
    except OSError as error:
        raise BottleError(f"{file} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(TEMPLATE)
    say(f"{file} is written; look at it, then: bottle start shell")
