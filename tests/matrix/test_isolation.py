"""No way leads around the proxy: each probe reaches its witness from the host, before and after, not from inside."""

import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from e2e_upstream import ALLOWED
from e2e_user import Bottle

PROBE = """
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
socket.setdefaulttimeout(2)
try:
    if kind == "tcp":
        with socket.create_connection((host, port)) as to:
            print(to.recv(100).decode())
    else:
        with socket.socket(family, socket.SOCK_DGRAM) as to:
            if kind == "connected":
                to.connect((host, port))
                to.send(b"?")
            else:
                to.sendto(b"?", (host, port))
            print(to.recv(100).decode())
except OSError as error:
    sys.exit(f"not reached: {error}")
"""


PASSING = ("127.", "10.213.")
"""Loopback, which is there twice already, and the networks of bottles that ran when these tests were collected."""


def _listeners(address: str, family: socket.AddressFamily) -> tuple[socket.socket, socket.socket]:
    """Return a TCP listener and a UDP socket at one port, which is free for both."""
    while True:
        tcp = socket.create_server((address, 0), family=family)
        udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            udp.bind((address, tcp.getsockname()[1]))
        except OSError:
            tcp.close()
            udp.close()
        else:
            return tcp, udp


class Witness:
    """Listens at one address of this machine by TCP and by UDP, and answers everyone with its token."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.token = secrets.token_hex(8)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._tcp, self._udp = _listeners(address, family)
        self.port: int = self._tcp.getsockname()[1]
        for serve in (self._serve_tcp, self._serve_udp):
            threading.Thread(target=serve, daemon=True).start()

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with connection:
                connection.sendall(f"HTTP/1.0 200 OK\r\n\r\n{self.token}\n".encode())

    def _serve_udp(self) -> None:
        while True:
            try:
                _, peer = self._udp.recvfrom(100)
            except OSError:
                return
            self._udp.sendto(self.token.encode(), peer)

    def close(self) -> None:
        """Stop listening."""
        self._tcp.shutdown(socket.SHUT_RDWR)
        self._tcp.close()
        self._udp.close()


def addresses() -> list[str]:
    """Return the addresses of this machine: both loopbacks, and those in its networks, an engine's among them."""
    table = Path("/proc/net/fib_trie").read_text().splitlines()
    local = {above.split()[-1] for above, line in pairwise(table) if line.endswith("/32 host LOCAL")}
    found = {"127.0.0.1", "::1"} | {address for address in local if not address.startswith(PASSING)}
    with suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.connect(("2001:db8::1", 9))
        found.add(probe.getsockname()[0])
    return sorted(found)


@pytest.fixture(params=addresses())
def witness(request: pytest.FixtureRequest) -> Iterator[Witness]:
    """A witness at each address of this machine."""
    try:
        listening = Witness(request.param)
    except OSError as error:
        pytest.skip(f"this machine cannot listen at {request.param}: {error}; switch IPv6 on")
    yield listening
    listening.close()


def on_host(*words: str) -> str:
    """Run the probe here."""
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=False)
    return done.stdout


@pytest.mark.parametrize("kind", ["tcp", "connected", "unconnected"])
def test_no_listener_of_the_host_is_reached(kind: str, witness: Witness, bottle: Bottle) -> None:
    """N2, N8, N9: TCP and UDP, IPv4 and IPv6, to every address of the host, where a resolver may be too (N7)."""
    words = (kind, witness.address, str(witness.port))
    assert witness.token in on_host(*words)
    inside = bottle.exec("python3", "-", *words, stdin=PROBE)
    assert witness.token not in inside.out
    assert "not reached" in inside.err
    assert witness.token in on_host(*words)


DODGES = {
    "noproxy": "curl -s --noproxy '*' {url}",
    "unset": "unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY; curl -s {url}",
    "NO_PROXY": "NO_PROXY='*' no_proxy='*' curl -s {url}",
    "empty": "http_proxy= ALL_PROXY= all_proxy= curl -s {url}",
    "connect-to": "curl -s --connect-to ::{place} http://" + ALLOWED + "/",
    "own proxy": "http_proxy=http://{place} curl -s http://" + ALLOWED + "/",
    "environment": "env -i curl -s {url}",
}


@pytest.mark.parametrize("dodge", DODGES)
def test_leaving_the_proxy_aside_leads_nowhere(dodge: str, bottle: Bottle) -> None:
    """N1: the variables are a convenience for programs, not the protection."""
    witness = Witness(next((it for it in addresses() if not it.startswith("127.") and ":" not in it), "127.0.0.1"))
    place = f"{witness.address}:{witness.port}"
    command = DODGES[dodge].format(url=f"http://{place}/", place=place)
    plain = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    try:
        here = subprocess.run(["/bin/sh", "-c", command], env=plain, capture_output=True, text=True, check=False)
        assert witness.token in here.stdout
        assert witness.token not in bottle.sh(command).out
    finally:
        witness.close()


def test_no_name_of_the_host_resolves_inside(bottle: Bottle) -> None:
    """N7: a name that the host resolves at this moment is not known inside, and the answer comes within two seconds."""
    name = os.uname().nodename
    script = "import socket, sys; print(socket.getaddrinfo(sys.argv[1], None)[0][4][0])"
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        pytest.skip(f"this machine does not resolve its own name, {name}: add it to /etc/hosts")
    begin = time.monotonic()
    done = bottle.exec("python3", "-c", script, name)
    assert "gaierror" in done.err
    assert "gaierror" in bottle.exec("python3", "-c", script, "nobody-knows.e2e.test").err
    assert time.monotonic() - begin < 4
    assert bottle.exec("python3", "-c", script, "localhost").out.strip() in {"127.0.0.1", "::1"}


def test_the_control_plane_is_not_inside(bottle: Bottle) -> None:
    """N15: no unix socket of ours has a name inside, and no environment or argument names one."""
    unix = bottle.exec("cat", "/proc/net/unix").out.splitlines()[1:]
    assert [line for line in unix if "/" in line or "@" in line] == []
