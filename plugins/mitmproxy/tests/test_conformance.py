"""What every proxy promises, held by the conformance kit: as a process of this machine, and as a container."""

import pytest

from claude_bottle.testing import ProxyContract

pytestmark = pytest.mark.timeout(600)


class TestMitmproxy(ProxyContract):
    """The proxy `mitmproxy` beside a sandbox."""

    name, target = "mitmproxy", "bottle_mitmproxy.plugin:PLUGIN"
    stage = ("bwrap", "bottle_bwrap.plugin:PLUGIN")


class TestMitmproxyInImage(ProxyContract):
    """The proxy `mitmproxy` from its image."""

    name, target = "mitmproxy", "bottle_mitmproxy.plugin:PLUGIN"
    stage = ("docker", "bottle_docker.plugin:PLUGIN")
