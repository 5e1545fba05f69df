"""A raw stream with a container: the connection that an `attach` or `exec` turns into.

The SDK gives the socket away behind a buffer that may have read of it already, so these two requests are made here.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from msgspec import json

from bottle_docker.address import Address
from bottle_docker.tls import secured
from bottle_docker.tunnel import forwarded
from claude_bottle.errors import NotFoundError, UnavailableError

__all__ = ["STDERR", "STDOUT", "Stream", "connect", "local_socket", "open_stream"]

CHUNK = 1 << 16
HEAD = 1 << 16  # bytes of an answer's head
CONNECT = 10.0  # seconds
STDOUT, STDERR = 1, 2
"""Which stream a frame belongs to."""


class Frame(NamedTuple):
    """A piece of output and the stream that it was written to."""

    stream: int
    data: bytes


class Stream:
    """The two directions of a hijacked connection. Both ends may be used by one thread each."""

    def __init__(self, connection: socket.socket, rest: bytes) -> None:
        self._connection = connection
        self._rest = rest

    def fileno(self) -> int:
        """Return the socket's descriptor. `pending` says what was read of it already."""
        return self._connection.fileno()

    @property
    def pending(self) -> bool:
        """Whether `recv` has something without waiting."""
        return bool(self._rest)

    def recv(self, size: int = CHUNK) -> bytes:
        """Return what is there, waiting for the first byte; empty at the end, also where the engine broke off."""
        if self._rest:
            data, self._rest = self._rest[:size], self._rest[size:]
            return data
        try:
            return self._connection.recv(size)
        except ConnectionError:
            return b""

    def send(self, data: bytes) -> None:
        """Write all of it; BrokenPipeError or another ConnectionError once nobody reads it any more."""
        self._connection.sendall(data)

    def end_input(self) -> None:
        """Say that no more input comes."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Break off; whoever waits in `recv` gets the end."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def drain(self) -> None:
        """Take whatever comes until the end: while output lies there, the engine answers nothing about a container."""
        with suppress(OSError):
            while self.recv():
                pass

    def frames(self) -> Iterator[Frame]:
        """Yield the output of a command without a terminal, as it comes."""
        while head := self._exactly(8):
            size = int.from_bytes(head[4:])
            while size and (data := self.recv(min(size, CHUNK))):
                size -= len(data)
                yield Frame(head[0], data)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self.recv(size - len(data))
            if not chunk:
                return b""
            data += chunk
        return data


def local_socket(address: Address) -> str | None:
    """Return the socket here that leads to the engine, as one behind ssh has it too; None if it is dialled."""
    if address.url.startswith("ssh://"):
        return forwarded(address.url, os.getpid())
    return address.socket


def connect(address: Address, timeout: float = CONNECT) -> socket.socket:
    """Return a connection to the engine; UnavailableError if there is none."""
    try:
        with ExitStack() as undo:
            if path := local_socket(address):
                connection = undo.enter_context(socket.socket(socket.AF_UNIX))
                connection.settimeout(timeout)
                connection.connect(path)
            else:
                parts = urlsplit(address.url)
                there = (parts.hostname or "", parts.port or (2376 if address.tls else 2375))
                connection = undo.enter_context(socket.create_connection(there, timeout))
                if address.tls:
                    connection = secured(connection, there[0], address.tls)
            undo.pop_all()
            return connection
    except OSError as error:
        raise UnavailableError(f"the engine at {address.url} does not answer: {error.strerror or error}") from error


def open_stream(address: Address, path: str, body: object = None) -> Stream:
    """Post a request that turns its connection into a stream; what the engine says against it is raised.

    `path` begins with `/v`.
    """
    with ExitStack() as undo:
        connection = undo.enter_context(connect(address))
        try:
            payload = b"" if body is None else json.encode(body)
            head = (
                f"POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
            )
            connection.sendall(head.encode() + payload)
            answer, rest = _read_head(connection)
            _check_status(answer, rest, connection)
            connection.settimeout(None)
        except (OSError, ValueError, IndexError) as error:
            raise UnavailableError(f"the engine at {address.url} broke off: {error}") from error
        undo.pop_all()
        return Stream(connection, rest)


def _check_status(head: bytes, rest: bytes, connection: socket.socket) -> None:
    status = int(head.split(b" ", 2)[1])
    if status in {101, 200}:
        return
    while b"}" not in rest and len(rest) < HEAD and (chunk := connection.recv(CHUNK)):
        rest += chunk
    kind = NotFoundError if status == 404 else UnavailableError  # noqa: PLR2004 - HTTP's own
    raise kind(f"the engine refused a stream: {rest.decode('utf-8', 'replace').strip()}")


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(CHUNK)
        if not chunk or len(data) > HEAD:
            raise ConnectionError("no answer")
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest
