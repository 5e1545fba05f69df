"""A home as Claude Code finds it: what was kept, what is handed over, and last the settings."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import pytest
from claude_plan import PLAN as BARE
from msgspec.structs import replace

from bottle_claude.section import ClaudeSection
from bottle_claude.settings import furnish
from bottle_claude.state import state_file
from claude_bottle.errors import LaunchError
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle, ExecResult
from claude_bottle.seam.part import Injection
from claude_bottle.seam.tree import Entry, FileEntry, pack

HELD = "sk-ant-api03-" + "placeholder" * 3
PLAN = replace(BARE, sections=(("claude", ClaudeSection()),))


class Home:
    """A bottle's home: what lies in it in the end, and the scripts that ran."""

    def __init__(self) -> None:
        self.files: dict[str, FileEntry] = {}
        self.ran: list[str] = []

    def put(self, entries: Iterable[Entry], path: str) -> None:
        """Take files; the last of a name stays."""
        assert path == "/home/agent"
        self.files |= {it.name: it for it in entries if isinstance(it, FileEntry)}

    def exec(self, script: str) -> ExecResult:
        """Say what the bottle's environment has."""
        self.ran.append(script)
        return ExecResult(0, HELD.encode() if "ANTHROPIC_API_KEY" in script else b"", b"")


def home(plan: Plan) -> Home:
    """Return a home that is furnished."""
    it = Home()
    bottle = cast("Bottle", it)
    assert furnish(bottle, plan) is None
    return it


def test_of_the_key_its_end_is_approved_and_nothing_more_is_written() -> None:
    """It is asked of the bottle, which may hold a placeholder; where there is none, nothing is asked."""
    keyed = home(replace(PLAN, injected=(Injection(name="ANTHROPIC_API_KEY", host="a.example", header="x-api-key"),)))
    known = json.loads(keyed.files[".claude.json"].data)
    assert known["customApiKeyResponses"] == {"approved": [HELD[-20:]], "rejected": []}
    assert not any(HELD.encode() in it.data for it in keyed.files.values())
    without = home(PLAN)
    assert "customApiKeyResponses" not in json.loads(without.files[".claude.json"].data)
    assert without.ran == []


def test_what_was_kept_stands_behind_what_is_said_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive is older than this manifest, and than this program; its sessions come back with their times."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    archive = io.BytesIO()
    kept = ("settings.json", "CLAUDE.md", "projects/session.jsonl")
    pack([FileEntry(name, b"kept") for name in kept], archive)
    file = state_file("reviewer", "/project")
    file.parent.mkdir(parents=True)
    file.write_bytes(archive.getvalue())
    (tmp_path / "notes.md").write_text("handed over")
    section = ClaudeSection(state="keep", memory=str(tmp_path / "notes.md"))
    it = home(replace(PLAN, sections=(("claude", section),)))
    assert it.files[".claude/projects/session.jsonl"].data == b"kept"
    assert it.files[".claude/CLAUDE.md"].data == b"handed over"
    assert json.loads(it.files[".claude/settings.json"].data) == {"skipDangerousModePermissionPrompt": True}
    assert len(it.ran) == 1
    assert "touch" in it.ran[0]
    assert {entry.mode for name, entry in it.files.items() if "session" not in name} == {0o600}


def test_a_file_that_is_gone_since_the_question_ends_the_launch(tmp_path: Path) -> None:
    """It is named."""
    section = ClaudeSection(memory=str(tmp_path / "gone.md"))
    with pytest.raises(LaunchError, match=r"gone\.md"):
        home(replace(PLAN, sections=(("claude", section),)))
