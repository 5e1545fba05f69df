"""The user's terminal and one that was opened inside: bytes both ways, its size, and its state afterwards."""

import fcntl
import os
import select
import struct
import termios
import time
from collections.abc import Mapping
from contextlib import ExitStack

from bottle_bwrap.channel import Channel
from bottle_bwrap.streams import CHUNK, LINGER, Writer, run_piped
from claude_bottle.errors import BottleError
from claude_bottle.seam.terminal import STDERR, STDIN, STDOUT, Write, raw, resizing

__all__ = ["run_on_pipes", "run_on_terminal"]


def run_on_pipes(channel: Channel, payload: Mapping[str, object]) -> int:
    """Run a request with our own streams at its ends; they themselves never enter the bottle."""

    def feed(writer: Writer) -> None:
        poll = select.poll()
        poll.register(STDIN, select.POLLIN)
        while not writer.stopped.is_set():  # nothing is taken from our stdin once the command has ended
            if poll.poll(50) and not writer.stopped.is_set():
                chunk = os.read(STDIN, CHUNK)
                if not chunk:
                    return
                writer.write(chunk)

    return run_piped(channel, payload, feed=feed, out=Write(STDOUT), err=Write(STDERR), endless=True)


def run_on_terminal(channel: Channel, payload: Mapping[str, object]) -> int:
    """Run a request on a terminal that is opened inside, and be its screen and keyboard until it ends.

    Ours is raw meanwhile: Ctrl-C, Ctrl-Z and the rest act inside. It is restored however this ends.
    """
    size = os.get_terminal_size(STDIN)
    with ExitStack() as stack:
        reply = stack.enter_context(channel.request({**payload, "size": [size.lines, size.columns]}))
        master = reply.master()
        stack.callback(os.close, master)
        os.set_blocking(master, False)
        screen = stack.enter_context(raw(STDIN))
        stack.enter_context(resizing(lambda lines, columns: set_size(master, lines, columns)))
        converse(master, reply.socket.fileno(), screen)
        return reply.returncode()


def set_size(master: int, lines: int, columns: int) -> None:
    """Give the inner terminal a size."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def converse(master: int, reply: int, show: Write) -> None:
    """Move bytes between our terminal and the inner one until the command has ended and all it wrote is shown."""
    ours, typed = select.poll(), b""
    for fd in (STDIN, master, reply):
        ours.register(fd, select.POLLIN)
    while reply not in (ready := dict(ours.poll())):
        if ready.get(master, 0) & (select.POLLIN | select.POLLHUP):
            show(shown := read_terminal(master))
            if not shown and ready[master] & select.POLLHUP:
                break  # every process has closed it, so the exit code is on its way
        if ready.get(master, 0) & select.POLLOUT:
            typed = typed[type_into(master, typed) :]
        if STDIN in ready and not typed and not (typed := read_terminal(STDIN)):
            raise BottleError("the terminal is gone")  # the session inside ends with it
        # What is typed waits until the inner terminal has room, and further typing waits for that.
        ours.modify(master, select.POLLIN | (select.POLLOUT if typed else 0))
        ours.modify(STDIN, 0 if typed else select.POLLIN)
    show_rest(master, show)


def show_rest(master: int, show: Write) -> None:
    """Show what the command wrote before it ended; a background process that goes on writing is not awaited."""
    rest = select.poll()
    rest.register(master, select.POLLIN)
    deadline = time.monotonic() + LINGER
    while time.monotonic() < deadline and rest.poll(0) and (shown := read_terminal(master)):
        show(shown)


def read_terminal(fd: int) -> bytes:
    """Return what comes from a terminal; empty once nobody is at its other end, or nothing is there yet."""
    try:
        return os.read(fd, CHUNK)
    except OSError:  # EAGAIN; or EIO, Linux's way to say that it was closed
        return b""


def type_into(master: int, data: bytes) -> int:
    """Write what there is room for; returns how many bytes that was."""
    try:
        return os.write(master, data)
    except BlockingIOError:
        return 0
