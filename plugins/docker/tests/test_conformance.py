"""What every backend promises, held by the conformance kit."""

from collections.abc import Mapping
from typing import ClassVar

import pytest

from claude_bottle.testing import BackendContract

pytestmark = pytest.mark.timeout(600)


class TestDocker(BackendContract):
    """The backend `docker`."""

    name, target = "docker", "bottle_docker.plugin:PLUGIN"
    lacks: ClassVar[Mapping[str, str]] = {
        "hang-up": "an engine lets a command live on whose client was killed, until the bottle ends",
    }
