"""A backend and a proxy that run together here, an upstream that both reach, and users who have chosen them."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import msgspec
import pytest
from e2e_upstream import Internet
from e2e_user import User

from bottle_bwrap.probe import probe as probe_bwrap
from bottle_docker.image import agent_recipe
from bottle_docker.images import Images
from bottle_docker.plugin import open_engine
from bottle_docker.probe import probe as probe_docker

__all__ = ["LACKS", "PAIRS", "Pair", "primary_address"]

LACKS: Mapping[str, Mapping[str, str]] = {
    "mitmproxy": {},
}
"""What a proxy declares that it cannot hold, by a word that its tests name, with the reason of the skip."""

TOOLS = "apt-get update && apt-get install -y --no-install-recommends nodejs python3 python3-pip python3-requests"


class Pair(NamedTuple):
    """Two plugins by name."""

    backend: str
    proxy: str

    def __str__(self) -> str:
        return f"{self.backend}-{self.proxy}"

    @property
    def contained(self) -> bool:
        """Whether proxy and agent are containers, and not processes of this machine."""
        return self.backend == "docker"

    def check(self) -> None:
        """Skip what cannot run here, with the reason and the cure."""
        result = probe_docker() if self.contained else probe_bwrap()
        if result.state != "ready":
            wrong = "; ".join(f"{it.what} {it.detail} ({it.cure})" for it in result.findings if not it.ok)
            pytest.skip(f"{self.backend} cannot run here: {wrong}")

    def internet(self, folder: Path) -> Internet:
        """Return upstreams at an address that the proxy reaches: loopback, or for a container the host's own."""
        return Internet(folder, primary_address() if self.contained else "127.0.0.1")

    def user(self, internet: Internet) -> User:
        """Return somebody whose manifests choose this pair."""
        chosen: dict[str, Any] = {"backend": self.backend, "proxy": self.proxy}
        if self.contained:
            chosen["docker"] = {"image": tools_image()}
        someone = User(internet.config(), chosen)
        if self.contained and "DOCKER_HOST" in os.environ:
            someone.environment["DOCKER_HOST"] = os.environ["DOCKER_HOST"]
        return someone


PAIRS = (Pair("bwrap", "mitmproxy"), Pair("docker", "mitmproxy"))


def primary_address() -> str:
    """Return this machine's address in the network that leads outside."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


def tools_image() -> str:
    """Return an agent's image that has what the tests run inside, building it where it is not there yet."""
    recipe = msgspec.structs.replace(agent_recipe((TOOLS,)), name="claude-bottle-test-tools")
    return Images(open_engine(), lambda _: None, Event()).ensure(recipe)
