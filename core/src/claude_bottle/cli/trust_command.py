"""`bottle trust`: approves a manifest, so that `--yes` accepts it."""

from pathlib import Path

import click

from claude_bottle.cli.approving import describe
from claude_bottle.cli.errors import FAILED, reported, say
from claude_bottle.cli.installed import installed
from claude_bottle.cli.surroundings import read_surroundings, stdin_is_terminal
from claude_bottle.errors import BottleError
from claude_bottle.manifest.approval import Approvals
from claude_bottle.manifest.find import find_manifest
from claude_bottle.manifest.load import load_manifest

__all__ = ["command"]


@click.command("trust", epilog="\b\nExample:\n  bottle trust            the manifest that holds here\n")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(file: Path | None, *, yes: bool, debug: bool) -> int:
    """Show what a manifest takes from the host and what it loosens, and approve it as it stands.

    A manifest is code of whoever wrote it: read it first. A change asks again.
    """
    del debug
    around = read_surroundings()
    found = find_manifest(file, around.environ, around.cwd, around.config_dir)
    loaded = load_manifest(found.path, installed().section_names(), around.cwd)
    loaded.checked()
    approvals = Approvals(around.state_dir)
    status = approvals.status(found.path, loaded.sha256)
    if status == "approved":
        say(f"{loaded.file} is approved already")
        return 0
    say(f"{loaded.file} is {status}")
    for line in describe(loaded):
        say(f"  {line}")
    if not yes and not stdin_is_terminal():
        raise BottleError("there is no terminal to ask on", "add --yes once you have read it")
    if not yes and not click.confirm("approve it?", default=False, err=True):
        return FAILED
    approvals.approve(found.path, loaded.sha256)
    say(f"approved {loaded.file}")
    return 0
