"""What Claude Code finds in its home: the answers to everything that it would ask before it works."""

import json
from typing import Any

from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.tree import FileEntry

__all__ = ["write_settings"]

HOME, WORKSPACE = "/home/agent", "/workspace"
KEY = "ANTHROPIC_API_KEY"
TAIL = 20
"""Characters at the end of an API key by which Claude Code knows that it was approved."""


def write_settings(bottle: Bottle, plan: Plan) -> None:
    """Write `~/.claude.json`; the folder that is trusted is the workspace, which is the working directory."""
    known: dict[str, Any] = {
        "hasCompletedOnboarding": True,
        "bypassPermissionsModeAccepted": True,
        "projects": {WORKSPACE: {"hasTrustDialogAccepted": True}},
    }
    if (tail := _tail_of_key(bottle, plan)) is not None:
        known["customApiKeyResponses"] = {"approved": [tail], "rejected": []}
    bottle.put([FileEntry(".claude.json", json.dumps(known).encode(), 0o600)], HOME)


def _tail_of_key(bottle: Bottle, plan: Plan) -> str | None:
    """Return the end of the API key that programs in the bottle see, None where they see none."""
    if KEY not in plan.forwarded and KEY not in dict(plan.literals):
        return None
    return bottle.exec(f'printf %s "${KEY}"').stdout.decode("utf-8", "replace")[-TAIL:]
