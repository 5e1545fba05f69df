"""The question before a launch, and the approval of the manifest that goes with a yes."""

import click

from claude_bottle.cli.errors import say
from claude_bottle.errors import BottleError
from claude_bottle.launch.prepare import Prepared
from claude_bottle.launch.sources import Surroundings
from claude_bottle.manifest.approval import Approvals, is_vouched
from claude_bottle.manifest.disclosure import Disclosure, disclose
from claude_bottle.manifest.load import LoadedManifest

__all__ = ["describe", "settle_approval"]


def settle_approval(prepared: Prepared, around: Surroundings, *, yes: bool) -> bool:
    """Return whether to go on; a yes approves the manifest as it was read.

    With `--yes` an unknown manifest is accepted only if it was named with `--file` or is the user's own.
    """
    loaded, found = prepared.sources.manifest, prepared.sources.found
    approvals = Approvals(around.state_dir)
    status = "approved" if found.how == "nowhere" else approvals.status(found.path, loaded.sha256)
    if status != "approved":
        say(f"{loaded.file} is {status}: nobody here has approved it as it stands")
        for line in describe(loaded):
            say(f"  {line}")
    if yes:
        if status != "approved" and not is_vouched(found, around.config_dir):
            hint = f"look at it, then bottle trust {loaded.file}, or name it with --file"
            raise BottleError(f"--yes does not accept {loaded.file}, which is {status}", hint)
        return True
    if not click.confirm("start?", default=False, err=True):
        return False
    if status != "approved":
        approvals.approve(found.path, loaded.sha256)
    return True


def describe(loaded: LoadedManifest) -> list[str]:
    """Return what a manifest takes from the host and what it loosens, one line each."""
    if loaded.manifest is None:
        return []
    shown: Disclosure = disclose(loaded.manifest)
    groups = {
        "reads on the host": shown.paths,
        "reads the variable": shown.variables,
        "asks for": shown.secrets,
        "loosens": shown.loosened,
        "picks": shown.plugins,
        "sets": shown.sections,
    }
    return [f"{label} {item.key}: {item.text}" for label, items in groups.items() for item in items]
