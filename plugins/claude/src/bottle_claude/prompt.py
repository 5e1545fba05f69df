"""The prompt's file: it always exists, so that a program inside may rely on it."""

from collections.abc import Iterable

from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.tree import Entry, FileEntry, FolderEntry

__all__ = ["HOME", "PROMPT_FILE", "write_prompt"]

HOME, NAME = "/home/agent", ".bottle/prompt.md"
PROMPT_FILE = f"{HOME}/{NAME}"


def write_prompt(bottle: Bottle, plan: Plan, beside: Iterable[Entry] = ()) -> str | None:
    """Write the whole prompt, and return its path only if there is one; beside it lies what else goes into the home."""
    bottle.put([FolderEntry(".bottle", 0o700), FileEntry(NAME, plan.prompt.encode(), 0o600), *beside], HOME)
    return PROMPT_FILE if plan.prompt.strip() else None
