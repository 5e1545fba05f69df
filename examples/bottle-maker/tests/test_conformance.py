"""What every agent promises, held by the conformance kit."""

from typing import ClassVar

from claude_bottle.testing import AgentContract


class TestMaker(AgentContract):
    """The agent `maker`."""

    name: ClassVar[str] = "maker"
    target: ClassVar[str] = "bottle_maker.plugin:PLUGIN"
