"""Listeners on this machine that a bottle must not be able to dial."""

import os
import select
import socket
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from claude_bottle.seam.sidecar import Address

__all__ = ["open_witness", "own_addresses"]

# Documentation addresses (RFC 5737, RFC 3849): a datagram socket sends nothing when it connects.
SOMEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


@contextmanager
def open_witness(addresses: Iterable[tuple[socket.AddressFamily, str]]) -> Generator[Sequence[Address]]:
    """Listen at addresses of this machine, and answer whoever comes with a token of this witness.

    An address that this machine does not have after all is left out.
    """
    token = b"witness " + os.urandom(8).hex().encode()
    with ExitStack() as stack:
        listeners: list[socket.socket] = []
        for family, host in addresses:
            listener = socket.socket(family)
            stack.enter_context(listener)
            try:
                listener.bind((host, 0))
            except OSError:
                continue  # IPv6 may be switched off
            listener.listen()
            listeners.append(listener)
        wake, end = socket.socketpair()
        stack.enter_context(wake)
        thread = threading.Thread(target=answer, args=(listeners, wake, token), daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.enter_context(end)
        yield [Address(*listener.getsockname()[:2]) for listener in listeners]


def own_addresses() -> Iterator[tuple[socket.AddressFamily, str]]:
    """Yield both loopback addresses and the primary address of each family."""
    yield socket.AF_INET, "127.0.0.1"
    yield socket.AF_INET6, "::1"
    for family, somewhere in SOMEWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((somewhere, 9))
                host = probe.getsockname()[0]
        except OSError:
            continue  # no route, no such family
        if host not in {"127.0.0.1", "::1"}:
            yield family, host


def answer(listeners: Sequence[socket.socket], end: socket.socket, token: bytes) -> None:
    """Answer every connection until the other end of `end` is closed."""
    while True:
        ready, _, _ = select.select([*listeners, end], [], [])
        if end in ready:
            return
        for listener in ready:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(token)
