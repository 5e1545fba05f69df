"""CVE-2024-29018 for real: an engine whose host has its resolver on loopback, which such an engine asks for anybody."""

import subprocess
import sys
from collections.abc import Generator
from typing import Any

import pytest
from docker_second import BASE, copy_image, second_engine

from bottle_docker import site as site_module
from bottle_docker.containers import agent_body
from bottle_docker.engine import Engine
from bottle_docker.section import DockerSection
from claude_bottle.errors import ProofError

pytestmark = [pytest.mark.slow, pytest.mark.root]

NAME = "some.name.test"
CHOSEN = DockerSection(image=BASE)
WITHIN = 'ip link set lo up; mount --bind "$1" /etc/resolv.conf; shift; exec "$@"'
RESOLVER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("up", flush=True)
while True:
    question, peer = server.recvfrom(512)
    answer = b"\\xc0\\x0c\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x3c\\x00\\x04\\x05\\x06\\x07\\x08"
    end = question.index(b"\\0", 12) + 5
    server.sendto(question[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + question[12:end] + answer, peer)
"""
"""Answers every question for a name with an address."""


@pytest.fixture(scope="module")
def leaky(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """That engine, and an environment that leads to it."""
    file = tmp_path_factory.mktemp("resolver") / "resolv.conf"
    file.write_text("nameserver 127.0.0.1\n")
    within = ("unshare", "--net", "--mount", "sh", "-c", WITHIN, "sh", str(file))
    with second_engine("700m", within=within) as second, pytest.MonkeyPatch.context() as patch:
        copy_image(engine.address, second.engine.address)
        patch.setenv("DOCKER_HOST", second.engine.address.url)
        place = ("nsenter", f"--net=/proc/{second.pid}/ns/net", sys.executable, "-c", RESOLVER)
        with subprocess.Popen(place, stdout=subprocess.PIPE) as resolver:
            assert resolver.stdout is not None
            assert resolver.stdout.readline() == b"up\n"
            yield
            resolver.kill()


def plain(*given: Any) -> dict[str, object]:
    """Return the agent's container with the resolver that the engine chooses by itself."""
    made: dict[str, Any] = agent_body(*given)
    made["HostConfig"] |= {"Dns": [], "DnsOptions": []}
    return made


@pytest.mark.usefixtures("leaky")
def test_a_resolver_that_is_asked_on_the_host_is_no_bottle(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """N7: where the engine's resolver asks another outside, names leave, and then no agent starts."""
    monkeypatch.setattr(site_module, "agent_body", plain)
    launched = start(CHOSEN, "leaky")
    if launched.bottle.exec(f"getent hosts {NAME}").returncode != 0:
        pytest.skip("this engine asks from inside the bottle's network alone: it has no such leak to show")
    assert launched.bottle.look([], [NAME]).resolved == (True,)
    with pytest.raises(ProofError, match="resolver knows") as caught:
        launched.prove()
    assert "CVE-2024-29018" in str(caught.value.hint)


@pytest.mark.usefixtures("leaky")
def test_a_bottle_as_it_is_asks_nobody(start: Any) -> None:
    """N7: on the same engine a name that its host resolves at that moment is not known inside."""
    launched = start(CHOSEN, "closed")
    assert launched.bottle.look([], [NAME]).resolved == (False,)
    launched.prove()
