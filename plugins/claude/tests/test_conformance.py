"""What every agent plugin promises, held by the conformance kit."""

from claude_bottle.testing import AgentContract


class TestShell(AgentContract):
    """The agent `shell`."""

    name, target = "shell", "bottle_claude.shell:PLUGIN"


class TestClaude(AgentContract):
    """The agent `claude`."""

    name, target = "claude", "bottle_claude.claude:PLUGIN"
