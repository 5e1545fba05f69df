"""Sockets inside that are answered outside, for backends whose traits have `unix`."""

import os
import socket
import threading
import time
from contextlib import suppress

import pytest

from claude_bottle.errors import BottleError, UnavailableError
from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.bottle import Bottle, SocketBottle
from claude_bottle.testing.ground import Ground

__all__ = ["SocketContract"]

PYTHON = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
data = sys.stdin.buffer.read()
s.sendall(len(data).to_bytes(4, "big") + data)
while part := s.recv(65536):
    sys.stdout.buffer.write(part)
"""
PERL = """
use Socket;
socket(my $s, AF_UNIX, SOCK_STREAM, 0);
connect($s, pack_sockaddr_un($ARGV[0])) or die $!;
local $/;
my $data = <STDIN> // "";
my $all = pack("N", length $data) . $data;
while (length $all) { my $n = syswrite($s, $all) or die $!; substr($all, 0, $n, "") }
print while sysread($s, $_, 65536);
"""
CLIENTS = {"python3": ("-c", PYTHON), "perl": ("-e", PERL)}
"""What connects inside: sends a length and its stdin, and writes what comes back to its stdout."""

NAME = "kit.sock"


class Turner:
    """Sends each message back turned round, and notes who came and whether it was closed."""

    def __init__(self) -> None:
        self.clients = 0
        self.closed = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        """Answer one message, then hold the line if the message says so."""
        self.clients += 1
        with connection.makefile("rb") as stream:
            data = stream.read(int.from_bytes(stream.read(4)))
            connection.sendall(data[::-1])
            if data == b"hold":
                stream.read()

    def close(self) -> None:
        """Note it."""
        self.closed.set()


class SocketContract:
    """What `serve_socket` promises."""

    @pytest.fixture
    def carrier(self, loaded: Loaded, bottle: Bottle) -> SocketBottle:
        """The bottle, where its backend says that it can."""
        return can_carry(loaded, bottle)

    def test_who_connects_inside_is_answered_outside(self, carrier: SocketBottle) -> None:
        """A megabyte goes out and comes back, not a byte changed; one client does not wait for another."""
        service, data = Turner(), os.urandom(1 << 20)
        carrier.serve_socket(place(carrier), service)
        holder = threading.Thread(target=self._hold, args=(carrier,), daemon=True)
        holder.start()
        assert comes(service, holder)
        assert carrier.exec("", argv=client(carrier), stdin=data, timeout=30).stdout == data[::-1]
        assert service.clients == 2

    @staticmethod
    def _hold(carrier: SocketBottle) -> None:
        with suppress(BottleError):
            carrier.exec("", argv=client(carrier), stdin=b"hold", timeout=20)

    def test_a_second_socket_takes_the_place_of_the_first(self, carrier: SocketBottle) -> None:
        """Whoever connects from then on talks to the second."""
        services = Turner(), Turner()
        for service in services:
            carrier.serve_socket(place(carrier), service)
        assert carrier.exec("", argv=client(carrier), stdin=b"abc", timeout=30).stdout == b"cba"
        assert [service.clients for service in services] == [0, 1]

    def test_a_socket_that_cannot_be_is_an_error(self, carrier: SocketBottle) -> None:
        """The error is of ours, in time, and the service is closed: nobody else would."""
        service = Turner()
        with pytest.raises(BottleError):
            carrier.serve_socket("/proc/no/such/place", service)
        assert service.closed.is_set()

    def test_a_socket_ends_with_its_bottle(self, loaded: Loaded, ground: Ground) -> None:
        """Its service is closed, also while somebody is connected; so nothing that it holds outlives the bottle."""
        service = Turner()
        with ground.start(f"socket-{os.getpid()}") as held:
            carrier = can_carry(loaded, held.bottle)
            carrier.serve_socket(place(carrier), service)
            holder = threading.Thread(target=self._hold, args=(carrier,), daemon=True)
            holder.start()
            assert comes(service, holder)
            assert not service.closed.is_set()
            held.bottle.stop()
            assert service.closed.wait(10)

    def test_another_terminal_serves_no_socket(self, carrier: SocketBottle, ground: Ground) -> None:
        """A socket is the launching process's own, which lives as long as the bottle."""
        service, found = Turner(), ground.find(carrier.name)
        assert isinstance(found, SocketBottle)
        with pytest.raises(UnavailableError):
            found.serve_socket(place(found), service)
        assert service.closed.is_set()


def can_carry(loaded: Loaded, bottle: Bottle) -> SocketBottle:
    """Return a bottle as one that carries sockets; skip where its backend does not say that it can."""
    traits = loaded.plugin.backend_traits
    if traits is None or not traits.unix:
        pytest.skip("its traits do not have `unix`")
    assert isinstance(bottle, SocketBottle)
    return bottle


def place(bottle: Bottle) -> str:
    """Return where the socket is to be inside: in the agent's home, wherever that is."""
    return bottle.exec(f'printf %s "$HOME/{NAME}"').stdout.decode()


def client(bottle: Bottle) -> list[str]:
    """Return a command that connects inside."""
    for program, words in CLIENTS.items():
        if bottle.exec(f"command -v {program}").returncode == 0:
            return [program, *words, place(bottle)]
    pytest.skip(f"needs one of {', '.join(CLIENTS)} in the bottle, to connect with")


def comes(service: Turner, holder: threading.Thread) -> bool:
    """Wait until a client has come to a service, and say whether one has: none does once its command has ended."""
    deadline = time.monotonic() + 10
    while not service.clients and holder.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(service.clients)
