"""The kit's own proxy, held to the contract of every proxy, on the kit's own backend."""

import shutil

import pytest

from claude_bottle import declare
from claude_bottle.declare import NoSection
from claude_bottle.plugins.load import Loaded
from claude_bottle.testing import ProxyContract
from claude_bottle.testing.passage import PASSAGE, PassageHooks

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl on this machine")


class Stranger(PassageHooks):
    """Somebody else's, which says the same of itself."""


class TestPassage(ProxyContract):
    """The proxy `passage`."""

    name, target = "passage", PASSAGE

    def test_its_import_is_light(self) -> None:
        """Nobody lists it: it is a module of the kit, and no other module of that is light."""
        pytest.skip("it is a module of the kit, and nobody lists that")

    def test_it_confines(self, loaded: Loaded) -> None:
        """It is marked, so that nobody starts a bottle with it; nobody else's may be."""
        traits = loaded.plugin.proxy_traits
        assert traits is not None
        assert not traits.confines
        with pytest.raises(ValueError, match="a proxy confines"):
            declare.proxy(Stranger(), section=NoSection, traits=traits)
