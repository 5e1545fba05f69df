"""What every backend promises, held by the conformance kit."""

import pytest

from claude_bottle.testing import BackendContract

pytestmark = pytest.mark.timeout(600)


class TestDocker(BackendContract):
    """The backend `docker`."""

    name, target = "docker", "bottle_docker.plugin:PLUGIN"
