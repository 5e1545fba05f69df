"""Messages with descriptors on a SEQPACKET socket, the same on both sides."""

from __future__ import annotations

import array
import os
import socket
from typing import Sequence  # noqa: UP035 - imports nothing more, and is the older spelling that 3.9 has too

__all__ = ["DESCRIPTORS", "MESSAGE", "NOT_FOUND", "close_all", "receive", "send"]

MESSAGE = 4096
"""No message is longer, in bytes; what may be longer travels in a memfd."""

DESCRIPTORS = 5
"""No message has more: reply, payload, stdin, stdout, stderr."""

NOT_FOUND = 44
"""The exit code with which `get` says that there is nothing at a path."""


def send(sock: socket.socket, data: bytes, fds: Sequence[int] = ()) -> None:
    """Send one message; the receiver gets duplicates of the descriptors."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)


def receive(sock: socket.socket, most: int = DESCRIPTORS) -> tuple[bytes, list[int], int]:
    """Return one message, its descriptors and the sender's pid (0 unless SO_PASSCRED is set).

    EOFError at the end. A message that was cut is refused with OSError and leaves no descriptor open.
    """
    # socket.recv_fds drops its flags, and so the close-on-exec flag of what it receives.
    room = socket.CMSG_SPACE(most * 4) + socket.CMSG_SPACE(12)
    data, ancillary, flags, _ = sock.recvmsg(MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
    fds, pid = array.array("i"), 0
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
        elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid = int.from_bytes(content[:4], "little")
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        close_all(fds)
        raise OSError("a message was longer than this protocol has")
    if not data:
        close_all(fds)
        raise EOFError
    return data, list(fds), pid


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
