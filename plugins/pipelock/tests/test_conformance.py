"""What every proxy promises, held by the conformance kit on the real program."""

import shutil
import subprocess
from collections.abc import Mapping
from typing import ClassVar

import pytest

from bottle_pipelock.section import IMAGE
from claude_bottle.testing import ProxyContract

pytestmark = [pytest.mark.pipelock, pytest.mark.timeout(600)]


class TestPipelock(ProxyContract):
    """The proxy `pipelock` from its image; it dials the port that is asked for."""

    name, target = "pipelock", "bottle_pipelock.plugin:PLUGIN"
    stage = ("docker", "bottle_docker.plugin:PLUGIN")
    port = 443
    lacks: ClassVar[Mapping[str, str]] = {"levels": "one level holds for all opened hosts (docs/pipelock.md)"}

    @classmethod
    def missing(cls) -> str:
        """An image that no registry has to be asked for."""
        docker = shutil.which("docker")
        there = docker and subprocess.run([docker, "image", "inspect", IMAGE], capture_output=True, check=False)
        return "" if there and there.returncode == 0 else f"no engine here has {IMAGE}: docker pull it"
