"""The kit's own backend and proxy, held to the contracts of every backend and proxy: they pass what applies to them."""

import shutil

import pytest

from claude_bottle import declare
from claude_bottle.declare import NoSection
from claude_bottle.plugins.load import Loaded
from claude_bottle.testing import BackendContract, ProxyContract
from claude_bottle.testing.local import TARGET, LocalBackend
from claude_bottle.testing.passage import PASSAGE, PassageHooks

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl on this machine")


class StrangeBackend(LocalBackend):
    """Somebody else's, which says the same of itself."""


class StrangeProxy(PassageHooks):
    """Somebody else's, which says the same of itself."""


class TestLocal(BackendContract):
    """The backend `local`."""

    name, target = "local", TARGET

    def test_it_confines(self, loaded: Loaded) -> None:
        """It is marked, so that nobody starts a bottle on it; nobody else's may be."""
        traits = loaded.plugin.backend_traits
        assert traits is not None
        assert not traits.confines
        with pytest.raises(ValueError, match="a backend confines"):
            declare.backend(StrangeBackend(), section=NoSection, traits=traits)


@needs_curl
class TestPassage(ProxyContract):
    """The proxy `passage`."""

    name, target = "passage", PASSAGE

    def test_it_confines(self, loaded: Loaded) -> None:
        """It is marked, so that nobody starts a bottle with it; nobody else's may be."""
        traits = loaded.plugin.proxy_traits
        assert traits is not None
        assert not traits.confines
        with pytest.raises(ValueError, match="a proxy confines"):
            declare.proxy(StrangeProxy(), section=NoSection, traits=traits)
