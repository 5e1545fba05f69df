"""How the process is told where it listens and whom it becomes: one message on a socket, or its arguments."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from msgspec import DecodeError, Struct, json

__all__ = ["Arrival", "end_with", "receive"]

GRACE = 1.0  # seconds for an end in order


class Arrival(NamedTuple):
    """A listening socket, the folder with the files, and the uid and gid to become (None: stay)."""

    listener: socket.socket
    root: str
    uid: int | None
    gid: int | None


class Message(Struct):
    """The one message on the channel."""

    root: str
    uid: int | None = None
    gid: int | None = None


def receive(channel: socket.socket) -> Arrival | None:
    """Wait for the message; None if the channel was closed before it came, ValueError if it makes no sense."""
    data, descriptors, *_ = socket.recv_fds(channel, 1 << 16, 1)
    if not data:
        return None
    if len(descriptors) != 1:
        raise ValueError("the message came without a listening socket")
    try:
        message = json.decode(data, type=Message)
    except DecodeError as error:
        raise ValueError(f"the message cannot be read: {error}") from error
    return Arrival(socket.socket(fileno=descriptors[0]), message.root, message.uid, message.gid)


def end_with(channel: socket.socket, farewell: Callable[[], None]) -> None:
    """End this process when the other end of the channel closes: in order if it serves, whatever hangs in it if not."""

    def watch() -> None:
        while channel.recv(1 << 10):
            pass
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(GRACE)
        farewell()
        os._exit(0)

    threading.Thread(target=watch, name="channel", daemon=True).start()
