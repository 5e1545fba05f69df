"""The prompt's file: it always exists, so that a program inside may rely on it."""

from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.tree import FileEntry, FolderEntry

__all__ = ["PROMPT_FILE", "write_prompt"]

FOLDER, NAME = "/home/agent", ".bottle/prompt.md"
PROMPT_FILE = f"{FOLDER}/{NAME}"


def write_prompt(bottle: Bottle, plan: Plan) -> str | None:
    """Write the whole prompt, and return its path only if there is one."""
    bottle.put([FolderEntry(".bottle", 0o700), FileEntry(NAME, plan.prompt.encode(), 0o600)], FOLDER)
    return PROMPT_FILE if plan.prompt.strip() else None
