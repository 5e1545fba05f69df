"""The contract of a backend."""

from collections.abc import Mapping
from typing import ClassVar

from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.kinds import Kind
from claude_bottle.testing.beside import SidecarContract
from claude_bottle.testing.binds import BindContract
from claude_bottle.testing.commands import CommandContract
from claude_bottle.testing.contract import Contract
from claude_bottle.testing.faults import FaultContract
from claude_bottle.testing.ground import GroundFixtures
from claude_bottle.testing.isolation import IsolationContract
from claude_bottle.testing.lives import LifeContract
from claude_bottle.testing.sockets import SocketContract
from claude_bottle.testing.terminals import TerminalContract
from claude_bottle.testing.trees import TreeContract

__all__ = ["BackendContract"]

MAY_LACK = frozenset({"hang-up"})
"""`hang-up`: a command on a terminal ends when whoever attached to it is killed outright."""


class BackendContract(
    GroundFixtures,
    LifeContract,
    CommandContract,
    TreeContract,
    TerminalContract,
    IsolationContract,
    SocketContract,
    BindContract,
    SidecarContract,
    FaultContract,
    Contract,
):
    """What a backend promises; a subclass sets `name` and `target`, and runs where its probe says `ready`.

    `lacks` are words of `MAY_LACK` with the reason, which is what the skip says: the rest cannot be declared away.
    """

    kind: ClassVar[Kind] = "backend"
    lacks: ClassVar[Mapping[str, str]] = {}

    def test_what_it_lacks_may_be_lacking(self) -> None:
        """Nobody declares a protection away."""
        assert set(self.lacks) <= MAY_LACK

    def test_it_confines(self, loaded: Loaded) -> None:
        """It does not carry the mark of the kit's own, with which nobody starts a bottle."""
        assert loaded.plugin.backend_traits is not None
        assert loaded.plugin.backend_traits.confines, "it is marked as confining nothing"
