"""A backend and a proxy that run together here, an upstream that both reach, and users who have chosen them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import msgspec
import pytest
from e2e_upstream import Internet
from e2e_user import User

from bottle_bwrap.apart import examine as examine_network
from bottle_bwrap.probe import probe as probe_bwrap
from bottle_docker.image import agent_recipe
from bottle_docker.images import Images
from bottle_docker.plugin import open_engine
from bottle_docker.probe import probe as probe_docker
from bottle_docker.site import default_gateways
from bottle_mitmproxy.image import proxy_recipe
from bottle_pipelock.program import examine as find_pipelock
from bottle_pipelock.section import IMAGE

__all__ = ["ABSENT", "COLUMNS", "CONTAINED", "LACKS", "PAIRS", "Pair", "is_listed"]

LACKS: Mapping[str, Mapping[str, str]] = {
    "mitmproxy": {},
    "pipelock": {
        "explain": "Refusals have fixed texts",
        "figures": "Receipts have no figures",
        "one level": "One action for everything that is opened",
        "websocket": "WebSockets do not pass an opened tunnel",
        "inject": "No credential is injected",
        "ports": "Ports are not held",
    },
}
"""What a proxy declares that it cannot hold, by a word that its tests name: a row of that proxy's page in docs/."""

ABSENT = (
    r"(bwrap|docker) cannot run here: .*",
    r"(pipelock|pasta|/dev/net/tun): .* \(.*\)",
    r"the engine has no \S+: docker pull it",
    r"needs root, for upstreams at the ports 443 and 80",
    r"needs root, to look into the engine's folder",
    r"needs root \(sudo make pytest\)",
    r"needs root: run the tests as root too",
    r"root binds nothing: run the tests as a plain user too",
    r"needs an address of this machine that is not its primary one: .*",
    r"needs an engine at a socket of this machine, not at .*",
    r"no engine takes part",
    r"no sshd on this machine: apt-get install openssh-server",
    r"\S+ is not in this machine's /usr: apt-get install it",
    r"this machine's /usr/bin/python3 has no (requests|pip): .*",
    r"this machine has no /\S+: apt-get install ca-certificates",
    r"this machine cannot listen at .*; switch IPv6 on",
    r"this machine does not resolve its own name, .*",
    r"node [0-9.]+: only from 24 on does its fetch know a proxy",
    r"pipelock takes minutes for the corpus: make corpus",
)
"""Skips for want of something on this machine, each of which says what it is."""

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

    def holds(self, word: str) -> None:
        """Skip a test of what this pair's proxy declares that it cannot hold: a word of the list."""
        if row := LACKS[self.proxy].get(word):
            pytest.skip(lacking(self.proxy, row))

    def check(self) -> None:
        """Skip what cannot run here, with the reason and the cure."""
        result = probe_docker() if self.contained else probe_bwrap()
        if result.state != "ready":
            wrong = "; ".join(f"{it.what} {it.detail} ({it.cure})" for it in result.findings if not it.ok)
            pytest.skip(f"{self.backend} cannot run here: {wrong}")
        if self.proxy == "pipelock":
            self.check_pipelock()

    def check_pipelock(self) -> None:
        """Skip where it is not here: its image, or its program and what makes that a network of its own."""
        if self.contained:
            if open_engine().image_id(IMAGE) is None:
                pytest.skip(f"the engine has no {IMAGE}: docker pull it")
            return
        for finding in (find_pipelock(), *examine_network()):
            if not finding.ok:
                pytest.skip(f"{finding.what}: {finding.detail} ({finding.cure})")
        if probe_docker().state != "ready":
            pytest.skip("needs an address of this machine that is not its primary one: an engine's bridge has it")

    @property
    def address(self) -> str:
        """This machine's address for upstreams: loopback, or one on the engine's bridge.

        In a proxy's own network this machine's loopback and its primary address are none of this machine's.
        """
        return bridge_address() if self.contained or self.proxy == "pipelock" else "127.0.0.1"

    def internet(self, folder: Path) -> Internet:
        """Return upstreams at an address that the proxy reaches.

        pipelock dials the port that is asked for, so there they have the ports of the real Internet.
        """
        if self.proxy == "pipelock" and os.geteuid() != 0:
            pytest.skip("needs root, for upstreams at the ports 443 and 80")
        return Internet(folder, self.address, (443, 80) if self.proxy == "pipelock" else (0, 0))

    def user(self, internet: Internet | None = None) -> User:
        """Return somebody whose manifests choose this pair, and whose configuration leads to upstreams of ours."""
        chosen: dict[str, Any] = {"backend": self.backend, "proxy": self.proxy}
        if self.contained:
            chosen["docker"] = {"image": tools_image()}
        someone = User(internet.config() if internet else "", chosen)
        if self.contained and "DOCKER_HOST" in os.environ:
            someone.environment["DOCKER_HOST"] = os.environ["DOCKER_HOST"]
        return someone


PAIRS = tuple(Pair(backend, proxy) for proxy in ("mitmproxy", "pipelock") for backend in ("bwrap", "docker"))
COLUMNS = [
    pytest.param(pair, id=str(pair), marks=pytest.mark.pipelock if pair.proxy == "pipelock" else ()) for pair in PAIRS
]

CONTAINED = [column for column in COLUMNS if not str(column.id).startswith("bwrap-")]
"""Those on an engine."""


def lacking(proxy: str, row: str) -> str:
    """Return the reason of a skip."""
    return f"{proxy}: {row} (docs/{proxy}.md)"


def is_listed(reason: str) -> bool:
    """Say whether a skip is one of a list: of what a proxy lacks, or of what a machine may be without."""
    return reason in {lacking(proxy, row) for proxy, rows in LACKS.items() for row in rows.values()} or any(
        re.fullmatch(pattern, reason, re.DOTALL) for pattern in ABSENT
    )


def bridge_address() -> str:
    """Return this machine's address on the engine's default network: a container with a way out reaches it."""
    return default_gateways(open_engine().networks())[0]


def tools_image() -> str:
    """Return an agent's image that has what the tests run inside, building it where it is not there yet."""
    images = Images(open_engine(), lambda _: None, Event())
    images.ensure(proxy_recipe())  # no launch of a test has to wait for it
    recipe = msgspec.structs.replace(agent_recipe((TOOLS,)), name="claude-bottle-test-tools")
    return images.ensure(recipe)
