"""A proxy that can only listen at an address, in a network of its own; its stand-in is a server that answers."""

import os
import socket
import struct
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from bottle_bwrap.apart import ApartSidecar, examine
from bottle_bwrap.bottle import BwrapBottle
from bottle_bwrap.plugin import BwrapBackend
from bottle_bwrap.section import BwrapSection
from bottle_bwrap.site import BwrapSite
from claude_bottle.seam.bottle import Dial
from claude_bottle.seam.sidecar import File, SidecarSpec
from claude_bottle.seam.traits import BackendTraits, ProxyTraits
from claude_bottle.seam.witness import own_addresses

PYTHON = "/usr/bin/python3"
SERVER = """
import os, socket, sys
server = socket.create_server(("0.0.0.0", 3128)); print("up", flush=True)
while True:
    peer, _ = server.accept(); said = b""
    while data := peer.recv(65536): said += data
    peer.sendall(b"%d bytes, then the end" % len(said)); peer.close()
"""
DIAL = "import socket, sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).recv(9).decode())"
SPEC = SidecarSpec(argv=(PYTHON, "-c", SERVER), files=(File("secret", b"of the proxy"),), way="tcp")


class Apart(NamedTuple):
    """A bottle and its sidecar."""

    site: BwrapSite
    bottle: BwrapBottle
    sidecar: ApartSidecar


Begin = Callable[[], Apart]


@pytest.fixture
def begin(open_site: Callable[..., BwrapSite]) -> Begin:
    """Start a bottle whose proxy is such a one."""
    for finding in examine():
        if not finding.ok:
            pytest.skip(f"{finding.what}: {finding.detail} ({finding.cure})")

    def start() -> Apart:
        site = open_site("apart")
        sidecar = site.run(SPEC)
        assert isinstance(sidecar, ApartSidecar)
        bottle = site.start(BwrapSection(), {})
        assert next(sidecar.lines(20)) == b"up"
        return Apart(site, bottle, sidecar)

    return start


@contextmanager
def listener(address: str, family: socket.AddressFamily) -> Generator[int]:
    """Greet whoever comes to an address of this machine, and yield the port."""
    with socket.create_server((address, 0), family=family) as server:
        port: int = server.getsockname()[1]
        pid = os.fork()
        if not pid:
            while True:
                server.accept()[0].sendall(b"witness")
        try:
            yield port
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def test_the_bottle_reaches_it_and_nobody_here_does(begin: Begin) -> None:
    """Through the splice each direction has its own end; at its address, on this machine, nothing of it listens."""
    running = begin()
    program = (
        "import socket; s = socket.create_connection(('127.0.0.1', 3128)); s.sendall(bytes(3000000)); "
        "s.shutdown(1); print(s.makefile().read())"
    )
    assert running.bottle.exec("", argv=[PYTHON, "-c", program]).stdout == b"3000000 bytes, then the end\n"
    host, port = running.site.listen.host, running.site.listen.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), 2)
    own = f":{port:04X} "
    assert not any(own in line for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line)


def test_this_machine_is_not_in_its_network(begin: Begin) -> None:
    """What listens on loopback or at the primary addresses is not reached by the proxy; the host itself reaches it."""
    sidecar = begin().sidecar
    for family, address in own_addresses():
        with listener(address, family) as port:
            words = (PYTHON, "-c", DIAL, address, str(port))
            assert subprocess.run(words, check=True, capture_output=True).stdout == b"witness\n"
            assert b"witness" not in sidecar.exec(words, 10).stdout
            for gateway in gateways():  # pasta itself would lead from there to this machine's loopback
                assert b"witness" not in sidecar.exec((PYTHON, "-c", DIAL, gateway, str(port)), 10).stdout


def gateways() -> list[str]:
    """Return the gateways of this machine's default routes."""
    rows = [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]
    return [socket.inet_ntoa(struct.pack("=I", int(row[2], 16))) for row in rows if int(row[1], 16) == 0]


@pytest.mark.root
def test_another_user_does_not_get_into_its_network(begin: Begin) -> None:
    """Whoever is neither this user nor root cannot enter it; with the proxy's own uid one can."""
    sidecar = begin().sidecar
    words = ("nsenter", "--target", str(sidecar.first()), "--user", "--net", "--preserve-credentials", "true")
    owner = Path(f"/proc/{sidecar.process.pid}").stat().st_uid
    assert owner != 0
    for uid, works in ((owner, True), (owner + 17, False)):
        done = subprocess.run(words, check=False, capture_output=True, user=uid, group=uid, extra_groups=[])
        assert (done.returncode == 0) is works, done.stderr


def test_it_ends_with_its_channel(begin: Begin) -> None:
    """As when the launcher is killed: the proxy, its network and all that was in it are gone."""
    sidecar = begin().sidecar
    inside = sidecar.first()
    sidecar._channel.close()  # pyright: ignore[reportPrivateUsage] - as the kernel does
    assert sidecar.wait(10) is not None
    assert not Path(f"/proc/{inside}").exists()


def test_its_death_is_a_refused_connection(begin: Begin) -> None:
    """N14: the proxy alone is killed, and its network ends with it."""
    running = begin()
    inside = running.sidecar.first()
    [proxy] = Path(f"/proc/{inside}/task/{inside}/children").read_text().split()
    os.kill(int(proxy), 9)
    assert running.sidecar.wait(10) == 137
    assert running.bottle.look([Dial("127.0.0.1", 3128)], []).answers == (None,)


def test_a_proxy_that_does_not_start_says_why(open_site: Callable[..., BwrapSite], begin: Begin) -> None:
    """Its own last words, and its exit code."""
    sidecar = open_site("wrong").run(SidecarSpec(argv=("/bin/sh", "-c", "echo why >&2; exit 3"), way="tcp"))
    assert sidecar.wait(10) == 3
    assert sidecar.last_words == "why"
    assert sidecar.exec(("true",), 5).returncode != 0


def test_without_pasta_that_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a proxy that takes a listener it is not asked for."""
    monkeypatch.setenv("PATH", "/nowhere")
    backend = BwrapBackend()
    (missing, *_) = backend.probe_pair(ProxyTraits(runs=frozenset({"process"})))
    assert (missing.what, missing.ok) == ("pasta", False)
    assert "passt" in str(missing.cure)
    assert backend.probe_pair(ProxyTraits(runs=frozenset({"process"}), listen=frozenset({"fd"}))) == ()
    assert backend.probe_pair(BackendTraits(runs="process")) == ()
