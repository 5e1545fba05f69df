"""What every backend promises, held by the conformance kit."""

import pytest

from claude_bottle.testing import BackendContract

pytestmark = pytest.mark.timeout(600)


class TestBwrap(BackendContract):
    """The backend `bwrap`."""

    name, target = "bwrap", "bottle_bwrap.plugin:PLUGIN"
