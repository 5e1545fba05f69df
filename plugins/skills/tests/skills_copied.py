"""What a bottle has of a skill, on whatever backend: tests that each class of the conformance kit's takes in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from skills_home import laid_skill

from claude_bottle.plan.plan import Plan
from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.tree import Entry, FileEntry, FolderEntry, LinkEntry
from claude_bottle.testing.ground import Held

__all__ = ["Copied"]

PLACE = "/home/agent/.claude/skills"
LAID = {
    FolderEntry(".", 0o755),
    FileEntry("SKILL.md", b"# A skill\n", 0o600),
    FolderEntry("scripts", 0o555),
    FileEntry("scripts/run", b"#!/bin/sh\n", 0o750),
    LinkEntry("go", "scripts/run"),
    LinkEntry("scripts/up", "../SKILL.md"),
}


class Copied:
    """A skill to copy, and what a bottle has afterwards."""

    asks: ClassVar[Mapping[str, Any]] = {"skills": ("pdf", "pdf")}
    """The second time says nothing new."""

    @pytest.fixture(autouse=True)
    def laid(self, skills: Path) -> None:
        """What the plan names is on this machine."""
        laid_skill(skills)

    def test_a_skill_is_inside_as_it_is_outside(self, loaded: Loaded, held: Held, plan: Plan) -> None:
        """S19: files, modes and links are those of `$HOME/.claude/skills/pdf`."""
        loaded.hooks.provision_skills(bottle=held.bottle, plan=plan)
        assert tree(held.bottle) == LAID

    def test_a_skill_replaces_what_was_there(self, loaded: Loaded, held: Held, plan: Plan) -> None:
        """S27: nothing is left of another skill of that name, read-only folders included; a neighbour stays."""
        stale = [
            FileEntry("pdf/old/file", b"stale"),
            FolderEntry("pdf/old", 0o555),
            FileEntry("mine/SKILL.md", b"mine"),
        ]
        held.bottle.put(stale, PLACE)
        loaded.hooks.provision_skills(bottle=held.bottle, plan=plan)
        assert tree(held.bottle) == LAID
        assert tree(held.bottle, "mine") >= {FileEntry("SKILL.md", b"mine")}

    def test_a_link_in_a_skill_s_place_is_replaced(self, loaded: Loaded, held: Held, plan: Plan) -> None:
        """What it names inside keeps its mode and its files."""
        own = [FileEntry("own/file", b"own", 0o600), FolderEntry("own", 0o500)]
        held.bottle.put([*own, LinkEntry(".claude/skills/pdf", "../../own")], "/home/agent")
        loaded.hooks.provision_skills(bottle=held.bottle, plan=plan)
        assert tree(held.bottle) == LAID
        assert set(held.bottle.get("/home/agent/own")) == {FolderEntry(".", 0o500), FileEntry("file", b"own", 0o600)}


def tree(bottle: Bottle, name: str = "pdf") -> set[Entry]:
    """Return what the bottle has of a skill."""
    return set(bottle.get(f"{PLACE}/{name}"))
