"""The protocol of ssh-agent: its messages, and the parts of them that decide what is let through.

draft-ietf-sshm-ssh-agent for the messages, OpenSSH's PROTOCOL.agent for `session-bind@openssh.com`, RFC 4252 for
what is signed when a user logs in.
"""

import socket
from collections.abc import Iterable
from typing import NamedTuple

__all__ = [
    "EXTENSION",
    "FAILURE",
    "LIST",
    "SESSION_BIND",
    "SIGN",
    "SIGNED",
    "SUCCESS",
    "Bind",
    "Login",
    "Reader",
    "ask",
    "list_keys",
    "pack_keys",
    "pack_string",
    "receive",
    "send",
]

FAILURE, SUCCESS, LIST, LISTED, SIGN, SIGNED, EXTENSION = 5, 6, 11, 12, 13, 14, 27
SESSION_BIND = b"session-bind@openssh.com"
LONGEST = 256 * 1024
"""Bytes of a message, as OpenSSH has it (AGENT_MAX_LEN)."""

USERAUTH_REQUEST = 50
SERVICE = b"ssh-connection"
METHODS = (b"publickey", b"publickey-hostbound-v00@openssh.com")


class Reader:
    """Takes a message apart, from its beginning; ValueError where it is too short."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        if size > len(self._data) - self._at:
            raise ValueError("a message ends early")
        self._at += size
        return self._data[self._at - size : self._at]

    def byte(self) -> int:
        """Return the next byte as a number."""
        return self.take(1)[0]

    def number(self) -> int:
        """Return the next four bytes as a number."""
        return int.from_bytes(self.take(4))

    def string(self) -> bytes:
        """Return the next string."""
        return self.take(self.number())

    def end(self) -> None:
        """ValueError unless all of it was read."""
        if self._at != len(self._data):
            raise ValueError("a message goes on where it should end")


class Bind(NamedTuple):
    """What a client says of its connection: the server's host key, and the id of the session that it signed."""

    host_key: bytes
    session: bytes
    forwarding: bool

    @classmethod
    def read(cls, reader: Reader) -> "Bind":
        """Take it from behind the extension's name; its signature is for ssh-agent to check."""
        host_key, session, _ = reader.string(), reader.string(), reader.string()
        forwarding = reader.byte() != 0
        reader.end()
        return cls(host_key, session, forwarding)


class Login(NamedTuple):
    """What is signed to log in: the session, the user, the key, and the server's key where the client binds it."""

    session: bytes
    user: str
    key: bytes
    host_key: bytes | None

    @classmethod
    def read(cls, data: bytes) -> "Login":
        """Take it from what is to be signed; ValueError if that is anything else."""
        reader = Reader(data)
        session = reader.string()
        if reader.byte() != USERAUTH_REQUEST:
            raise ValueError("it is no login")
        user, service, method = reader.string(), reader.string(), reader.string()
        if service != SERVICE or method not in METHODS or reader.byte() != 1:
            raise ValueError("it is no login with a key")
        _algorithm, key = reader.string(), reader.string()
        host_key = reader.string() if method == METHODS[1] else None
        reader.end()
        return cls(session, user.decode(), key, host_key)


def pack_string(data: bytes) -> bytes:
    """Return a string with its length before it."""
    return len(data).to_bytes(4) + data


def pack_keys(keys: Iterable[tuple[bytes, str]]) -> bytes:
    """Return the answer to LIST: each key's blob and comment."""
    rows = [pack_string(blob) + pack_string(comment.encode()) for blob, comment in keys]
    return bytes([LISTED]) + len(rows).to_bytes(4) + b"".join(rows)


def send(connection: socket.socket, message: bytes) -> None:
    """Send one message."""
    connection.sendall(pack_string(message))


def receive(connection: socket.socket) -> bytes | None:
    """Return the next message, None at the end; ConnectionError for one that is cut, empty or too long."""
    head = exactly(connection, 4)
    if not head:
        return None
    size = int.from_bytes(head)
    if not 0 < size <= LONGEST:
        raise ConnectionError("a message has an impossible length")
    message = exactly(connection, size)
    if not message:
        raise ConnectionError("a message was cut")
    return message


def exactly(connection: socket.socket, size: int) -> bytes:
    """Return this many bytes, or none where the other side has ended."""
    data = bytearray()
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            return b""
        data += part
    return bytes(data)


def ask(connection: socket.socket, message: bytes) -> bytes:
    """Send one message to an agent and return its answer; ConnectionError if it gives none."""
    send(connection, message)
    answer = receive(connection)
    if answer is None:
        raise ConnectionError("the agent ended")
    return answer


def list_keys(connection: socket.socket) -> list[bytes]:
    """Return the blobs of the keys that an agent says it has; ValueError if its answer cannot be read."""
    reader = Reader(ask(connection, bytes([LIST])))
    if reader.byte() != LISTED:
        raise ValueError("the agent does not list its keys")
    blobs: list[bytes] = []
    for _ in range(reader.number()):
        blobs.append(reader.string())
        reader.string()
    return blobs
