"""TLS as a plain socket: an `SSLSocket` can neither half-close nor be read and written by two threads at once."""

import select
import socket
import ssl
import threading
from collections import deque
from contextlib import suppress

from bottle_docker.address import Tls

__all__ = ["secured"]

CHUNK = 1 << 16
MOST = 1 << 20  # bytes of plaintext in one piece of what came


def secured(plain: socket.socket, host: str, tls: Tls) -> socket.socket:
    """Return a socket that speaks in clear with whoever is at the other end of `plain`, which is taken over.

    The end of what is written comes through as the end of input, and what is still on its way back is read.
    """
    context = ssl.create_default_context(cafile=tls.ca)
    if not tls.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if tls.pair:
        context.load_cert_chain(*tls.pair)
    session = Session(context, plain, host)
    session.shake_hands()
    ours, theirs = socket.socketpair()
    ours.settimeout(plain.gettimeout())
    plain.settimeout(None)
    threading.Thread(target=session.carry, args=(theirs,), name="engine tls", daemon=True).start()
    return ours


class Session:
    """A session over `plain`, whose two directions have a thread each; the lock is never held while one waits."""

    def __init__(self, context: ssl.SSLContext, plain: socket.socket, host: str) -> None:
        self._plain = plain
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_hostname=host)
        self._early: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._sending = threading.Lock()

    def shake_hands(self) -> None:
        """Begin the session; OSError if the other end is not who it should be."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._take()
            else:
                return self._flush()

    def carry(self, inner: socket.socket) -> None:
        """Pass on what comes until it ends, with what goes beside it, and close both sockets."""
        writer = threading.Thread(target=self._outward, args=(inner,), name="engine tls out", daemon=True)
        with self._plain, inner:
            writer.start()
            with suppress(OSError):
                while data := self._read():
                    inner.sendall(data)
            with suppress(OSError):
                inner.shutdown(socket.SHUT_WR)
            writer.join()

    def _outward(self, inner: socket.socket) -> None:
        with suppress(OSError):
            while data := inner.recv(CHUNK):
                with self._lock:
                    self._tls.write(data)
                self._flush()
            with self._lock:
                self._read_ahead()
                with suppress(ssl.SSLWantReadError):
                    self._tls.unwrap()  # says that no more comes; the other end may still speak
            self._flush()
            hung_up(inner)
        with suppress(OSError):
            self._plain.shutdown(socket.SHUT_RDWR)

    def _read(self) -> bytes:
        """Return the next piece in clear; empty at the end."""
        while True:
            with self._lock:
                if self._early:
                    return self._early.popleft()
                try:
                    return self._tls.read(MOST)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLZeroReturnError:
                    return b""
            self._flush()
            self._take()

    def _read_ahead(self) -> None:
        """Take what has come out of the session: to its `unwrap` any data that is left there is a fatal error."""
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while data := self._tls.read(MOST):
                self._early.append(data)

    def _take(self) -> None:
        data = self._plain.recv(CHUNK)
        if not data:
            raise ConnectionError("the engine broke off")
        with self._lock:
            self._came.write(data)

    def _flush(self) -> None:
        with self._sending:  # in the order in which they were made
            with self._lock:
                data = self._goes.read()
            self._plain.sendall(data)


def hung_up(inner: socket.socket) -> None:
    """Wait until the other end has closed both directions, not just its own."""
    poll = select.poll()
    poll.register(inner, 0)
    poll.poll()
