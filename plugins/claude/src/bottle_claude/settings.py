"""What Claude Code finds in its home: what is handed to it, and the answers to all that it would ask first."""

import json
from collections.abc import Iterator
from typing import Any

from bottle_claude.prompt import HOME, write_prompt
from bottle_claude.section import ClaudeSection, host_files, read_file
from bottle_claude.state import RESTORE_TIMES, kept_state
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.tree import Entry, FileEntry, FolderEntry

__all__ = ["CLAUDE", "furnish", "settings"]

WORKSPACE = "/workspace"
CLAUDE = ".claude"
KEY = "ANTHROPIC_API_KEY"
TAIL = 20
"""Characters at the end of an API key by which Claude Code knows that it was approved."""


def furnish(bottle: Bottle, plan: Plan) -> str | None:
    """Put into the home what an earlier launch kept, what the manifest hands over, and last the settings.

    The prompt goes the same way, and its path is returned if there is one: each way in takes its time.
    """
    section = plan.section(ClaudeSection)
    entries: list[Entry] = [FolderEntry(CLAUDE, 0o700)]
    if section.state == "keep":
        entries += kept_state(plan, CLAUDE)
    entries += handed_over(section)
    entries += settings(_tail_of_key(bottle, plan))
    prompt = write_prompt(bottle, plan, entries)
    if section.state == "keep":
        bottle.exec(RESTORE_TIMES.format(path=f"{HOME}/{CLAUDE}"))
    return prompt


def handed_over(section: ClaudeSection) -> Iterator[Entry]:
    """Yield the files of the host that the manifest names; a BottleError names one that is no longer there."""
    for path, name in host_files(section):
        yield FileEntry(f"{CLAUDE}/{name}", read_file(path), 0o600)


def settings(tail_of_key: str | None) -> Iterator[Entry]:
    """Yield both files of settings; the folder that is trusted is the workspace, which is the working directory."""
    known: dict[str, Any] = {
        "hasCompletedOnboarding": True,
        "bypassPermissionsModeAccepted": True,  # of older releases; newer ones move it to the settings
        "projects": {WORKSPACE: {"hasTrustDialogAccepted": True}},
    }
    if tail_of_key is not None:
        known["customApiKeyResponses"] = {"approved": [tail_of_key], "rejected": []}
    yield FileEntry(f"{CLAUDE}.json", json.dumps(known).encode(), 0o600)
    yield FileEntry(f"{CLAUDE}/settings.json", json.dumps({"skipDangerousModePermissionPrompt": True}).encode(), 0o600)


def _tail_of_key(bottle: Bottle, plan: Plan) -> str | None:
    """Return the end of the API key that programs in the bottle see, None where they see none."""
    if KEY not in {*plan.forwarded, *dict(plan.literals), *(it.name for it in plan.injected)}:
        return None
    return bottle.exec(f'printf %s "${KEY}"').stdout.decode("utf-8", "replace")[-TAIL:]
