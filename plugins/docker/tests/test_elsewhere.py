"""An engine on another machine: one in a network of its own, with its own name, reached over TLS."""

import os
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from docker_second import BASE, copy_image, second_engine

from bottle_docker import site as site_module
from bottle_docker.engine import Engine
from bottle_docker.labels import LAUNCH
from bottle_docker.leftover import find_bottles
from bottle_docker.plugin import open_engine
from bottle_docker.section import DockerSection
from claude_bottle.errors import LaunchError, ProofError, UnavailableError
from claude_bottle.seam.bottle import Dial, ExecResult
from claude_bottle.seam.sidecar import Outpost
from claude_bottle.testing.authority import Authority

pytestmark = [pytest.mark.slow, pytest.mark.root]

NAME, HERE, THERE, LINK = "far-engine", "10.77.0.1", "10.77.0.2", "bottlefar"
WITHIN = (
    'ip link set lo up; hostname "$1"; mount --bind "$2" /etc/hosts; until ip link show eth0; do sleep 0.1; done; '
    'ip addr add "$3/30" dev eth0; ip link set eth0 up; ip route add 10.78.0.0/29 dev eth0; '
    'ip route add default via 10.77.0.1; shift 3; exec "$@"'
)
CHOSEN = DockerSection(image=BASE)


@pytest.fixture(scope="module")
def far(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Generator[Engine]:
    """That engine, and an environment that leads to it."""
    folder = tmp_path_factory.mktemp("far")
    write_pair(folder, Authority("far authority"), NAME, THERE)
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{THERE} {NAME}\n")
    words = [f"--host=tcp://{THERE}:2376", "--tlsverify", f"--tlscacert={folder}/ca.pem"]
    words += [f"--tlscert={folder}/cert.pem", f"--tlskey={folder}/key.pem"]
    within = ("unshare", "--net", "--uts", "--mount", "sh", "-c", WITHIN, "sh", NAME, str(folder / "hosts"), THERE)
    with second_engine("700m", *words, within=within, wire=wire) as second, pytest.MonkeyPatch.context() as patch:
        copy_image(engine.address, second.engine.address)
        patch.setenv("DOCKER_HOST", f"tcp://{THERE}:2376")
        patch.setenv("DOCKER_TLS_VERIFY", "1")
        patch.setenv("DOCKER_CERT_PATH", str(folder))
        yield second.engine


def write_pair(folder: Path, authority: Authority, *names: str) -> None:
    """Write what an engine and its client take: an authority, and one pair for both."""
    (folder / "ca.pem").write_bytes(authority.pem)
    pair = authority.pair(names)
    for name in ("cert.pem", "key.pem"):
        (folder / name).write_bytes(pair)


def wire(pid: int) -> None:
    """Lay a cable from this machine to the engine's."""
    for words in (
        f"link add {LINK} type veth peer name eth0 netns {pid}",
        f"addr add {HERE}/30 dev {LINK}",
        f"link set {LINK} up",
    ):
        subprocess.run(["ip", *words.split()], check=True)


@pytest.mark.usefixtures("far")
def test_a_bottle_there_is_proved(start: Any) -> None:
    """N2, N7: a container on the engine's host witnesses, and is dialled from there with words that core made."""
    launched = start(CHOSEN, "far")
    with launched.site.witness() as outpost:
        assert isinstance(outpost, Outpost)
        assert outpost.host == NAME
        hosts = [address.host for address in outpost.addresses]
        assert {launched.site._outside.result().gateway, "172.17.0.1", "127.0.0.1", THERE} <= set(hosts)
        seen = outpost.look([Dial(*it, b"said") for it in outpost.addresses], [NAME, "nobody.invalid"])
        assert seen.answers == (b"said",) * len(hosts)
        assert seen.resolved == (True, False)
    launched.site._there = None  # it has been used
    launched.prove()


def plainly_internal(_api: object) -> dict[str, str]:
    """Return options that only make a network internal."""
    return {"com.docker.network.bridge.enable_icc": "true"}


@pytest.mark.usefixtures("far")
def test_a_bottle_that_reaches_the_host_there_is_none(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """N2: the witness sees through a network with an address of that host."""
    monkeypatch.setattr(site_module, "isolation", plainly_internal)
    launched = start(CHOSEN, "leaky")
    with pytest.raises(ProofError, match="reaches the host at"):
        launched.prove()


def test_a_bottle_there_lives_as_here(far: Engine, start: Any) -> None:
    """Its streams end one by one, any terminal finds it, and nothing of it stays, the witness among it."""
    launched = start(CHOSEN, "life", hidden={"TOKEN": "hidden"})
    data = os.urandom(3 << 20)
    assert launched.bottle.exec("cat; echo $TOKEN >&2", stdin=data) == ExecResult(0, data, b"hidden\n")
    (found,) = [it for it in find_bottles(open_engine()) if it.name == launched.bottle.name]
    assert found.exec("id -u").stdout == b"1000\n"
    launched.prove()
    launched.bottle.stop()
    mark = f"{LAUNCH}={launched.label}"
    assert (far.containers(mark), far.networks(mark), far.volumes(mark)) == ([], [], [])


def test_a_bottle_there_ends_with_its_launcher(far: Engine, start: Any) -> None:
    """The connection that its first process waits on is one over the network."""
    launched = start(CHOSEN, "orphan")
    assert launched.bottle.state == "running"
    launched.site._stdin.close()
    end = time.monotonic() + 20
    while far.running(launched.bottle._container):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.usefixtures("far")
def test_subnets_are_free_there(start: Any) -> None:
    """It is the routes of the engine's host that count: of these two one is taken by a route that only that has."""
    with pytest.raises(LaunchError, match=r"no subnet of 10\.78\.0\.0/28 is free"):
        start(DockerSection(image=BASE, subnets="10.78.0.0/28"), "routed")


def test_whoever_has_another_authority_is_not_spoken_to(
    far: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`DOCKER_TLS_VERIFY` holds for the SDK's requests, and for the streams that are ours."""
    write_pair(tmp_path, Authority("another authority"), THERE)
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="certificate verify failed"):
        open_engine()
    assert far.networks()
