"""What every provisioner promises, held by the conformance kit: with a key and a host that are there."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import pytest
from ssh_keys import HOST, Home

from claude_bottle.manifest.types import Ssh
from claude_bottle.plan.spec import BottleSpec
from claude_bottle.plugins.load import Loaded
from claude_bottle.testing import ProvisionerContract
from claude_bottle.testing.contract import make_spec

pytestmark = pytest.mark.timeout(300)


class TestSsh(ProvisionerContract):
    """The provisioner `ssh` in a folder of this machine."""

    name, target = "ssh", "bottle_ssh.plugin:PLUGIN"

    @pytest.fixture
    def spec(self, loaded: Loaded, home: Home) -> BottleSpec:  # pyright: ignore[reportIncompatibleMethodOverride] - for each test
        """What a manifest with one entry asks for, whose key and host a fresh home has."""
        home.know()
        entry = Ssh(host=HOST, user="git", identity_file=str(home.key()))
        return msgspec.structs.replace(make_spec(loaded, self.section), ssh=(entry,))


class TestSshInASandbox(TestSsh):
    """The provisioner `ssh` in a bottle without a daemon."""

    name, target = "ssh", "bottle_ssh.plugin:PLUGIN"
    stage = ("bwrap", "bottle_bwrap.plugin:PLUGIN")


class TestSshInAContainer(TestSsh):
    """The provisioner `ssh` in a container."""

    name, target = "ssh", "bottle_ssh.plugin:PLUGIN"
    stage = ("docker", "bottle_docker.plugin:PLUGIN")
    stage_section: ClassVar[Mapping[str, Any]] = {}
