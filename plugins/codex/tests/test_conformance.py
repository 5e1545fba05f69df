"""What every agent plugin promises, held by the conformance kit; and the one file that is Codex's own."""

import tomllib

from bottle_codex.settings import settings
from claude_bottle.testing import AgentContract


class TestCodex(AgentContract):
    """The agent `codex`."""

    name, target = "codex", "bottle_codex.plugin:PLUGIN"


def test_a_model_is_written_as_it_is_named() -> None:
    """Whatever characters are in its name, the file stays one that can be read."""
    assert "model" not in tomllib.loads(settings(None))
    assert tomllib.loads(settings('a "b"\n[c]'))["model"] == 'a "b"\n[c]'
