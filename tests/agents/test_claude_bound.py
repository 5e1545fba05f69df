"""Claude Code in a bound folder: what keeps its settings from being made there does not keep it from working."""

import os

import pytest
from agents_user import KEY, Company
from model_claude import ClaudeModel

pytestmark = [
    pytest.mark.timeout(600),  # as in test_claude
    pytest.mark.skipif(os.getuid() == 0, reason="root binds nothing: run the tests as a plain user too"),
]


def test_it_works_where_its_settings_are_kept_from_being_made(claude: Company[ClaudeModel]) -> None:
    """An empty folder in the place of `.mcp.json` is no file to it, and of that it says nothing."""
    bottle = {"workspace": {"mode": "bind"}, "env": {"CLAUDE_CODE_MAX_RETRIES": "0"}}
    claude.manifest(bottle, {"agent": "claude"})
    claude.user.environment |= {"ANTHROPIC_API_KEY": KEY}
    done = claude.start("-p", "say hi")
    assert (done.code, done.raw) == (0, b"MOCK-HELLO\n"), done.err
    assert "mcp" not in done.err.partition("tls intercept: CA")[2].lower()
    assert [it.name for it in claude.user.work.iterdir()] == ["bottle.yaml"]
