"""The kit's own proxy, held to the contract of every proxy, on the kit's own backend."""

import shutil

import pytest

from claude_bottle.testing import ProxyContract
from claude_bottle.testing.passage import PASSAGE

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl on this machine")


class TestPassage(ProxyContract):
    """The proxy `passage`."""

    name, target = "passage", PASSAGE
    test_its_import_is_light = None  # nobody lists it: it is a module of the kit, whose other modules are heavy
