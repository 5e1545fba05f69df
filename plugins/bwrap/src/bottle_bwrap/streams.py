"""A command's three pipes: bytes to its stdin and from its stdout and stderr, until it has ended."""

import io
import math
import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from bottle_bwrap.channel import Channel
from claude_bottle.errors import BottleError, DeadlineError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["CHUNK", "Feed", "Sink", "Writer", "reader", "run_piped"]

CHUNK = 1 << 16
QUIET = 0.1  # seconds without a byte after the exit: what still holds the pipe is a background process
PATIENCE = 5.0  # seconds that a killed command may take to let go of its stdin
LINGER = 1.0  # seconds after the exit in all
MOST = 1 << 30
"""Bytes of output that are kept of one command: whoever is inside decides how much comes."""

Sink = Callable[[bytes], object]
Feed = Callable[["Writer"], object]


class Writer(io.RawIOBase):
    """The write end of a command's stdin; BrokenPipeError once nobody reads it any more."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        os.set_blocking(fd, False)
        self._fd = fd
        self.stopped = threading.Event()

    def writable(self) -> bool:
        """Say that this is a stream to write to."""
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write all of it."""
        left = memoryview(data)
        size = left.nbytes
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while left:
            if self.stopped.is_set():
                raise BrokenPipeError
            if poll.poll(50):
                left = left[os.write(self._fd, left[:CHUNK]) :]
        return size


class Feeder(threading.Thread):
    """Runs a feed beside the command, and closes the command's stdin when it is through."""

    def __init__(self, feed: Feed, fd: int) -> None:
        super().__init__(name="bottle-stdin", daemon=True)
        self.writer = Writer(fd)
        self.error: BaseException | None = None
        self._feed = feed
        self._fd = fd

    def run(self) -> None:
        """Feed until it is through, or until the command has ended."""
        try:
            self._feed(self.writer)
        except BrokenPipeError:
            return
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the command
            self.error = error
            self._await_readers()  # an end of input now would look like the whole of it
        finally:
            os.close(self._fd)

    def _await_readers(self) -> None:
        poll = select.poll()
        poll.register(self._fd, 0)  # POLLERR comes unasked, once nobody has the other end
        poll.poll(1000 * PATIENCE)


def reader(source: BinaryIO) -> Feed:
    """Return a feed that copies a stream, each piece as soon as it is there."""
    read = getattr(source, "read1", source.read)

    def feed(writer: Writer) -> None:
        while chunk := read(CHUNK):
            writer.write(chunk)

    return feed


def run_piped(
    channel: Channel,
    payload: Mapping[str, object],
    *,
    feed: Feed | None,
    out: Sink,
    err: Sink,
    timeout: float | None = None,
    endless: bool = False,
) -> int:
    """Run one request with three pipes and return its exit code; both streams are taken as they come.

    `endless`: the sinks keep nothing, so that there is no end to what they take.
    DeadlineError after `timeout` seconds, BottleError when more than MOST bytes come, and whatever `feed`
    raises: in each case the command's session is killed.
    """
    with ExitStack() as stack:
        (stdin_r, stdin_w), (out_r, out_w), (err_r, err_w) = os.pipe(), os.pipe(), os.pipe()
        for fd in (out_r, err_r):
            stack.callback(os.close, fd)
        feeder = Feeder(feed, stdin_w) if feed else None
        try:
            reply = stack.enter_context(channel.request(payload, (stdin_r, out_w, err_w)))
        except BaseException:
            os.close(stdin_w)
            raise
        finally:
            for fd in (stdin_r, out_w, err_w):
                os.close(fd)
        if feeder is None:
            os.close(stdin_w)
        else:
            feeder.start()
            stack.callback(feeder.writer.stopped.set)
        Pump(reply.socket.fileno(), {out_r: out, err_r: err}, feeder, endless=endless).run(timeout)
        return reply.returncode(timeout=LINGER)


class Pump:
    """Moves output until the command has ended and its pipes are empty, or held by someone who is silent."""

    def __init__(self, reply: int, sinks: Mapping[int, Sink], feeder: Feeder | None, *, endless: bool) -> None:
        self._reply = reply
        self._sinks = sinks
        self._feeder = feeder
        self._open = set(sinks)
        self._left = math.inf if endless else MOST
        self._poll = select.poll()
        for fd in (reply, *sinks):
            self._poll.register(fd, select.POLLIN)

    def run(self, timeout: float | None) -> None:
        """Move until the command has ended; DeadlineError after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._move(self._wait(deadline)):
            if self._feeder is not None and self._feeder.error is not None:
                raise self._feeder.error
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlineError(f"the command did not end within {timeout:g} seconds")
        deadline = time.monotonic() + LINGER
        while self._open and time.monotonic() < deadline and (ready := self._poll.poll(1000 * QUIET)):
            self._move(ready)

    def _wait(self, deadline: float | None) -> list[tuple[int, int]]:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if self._feeder is not None:  # it may fail without a byte from inside
            left = QUIET if left is None else min(left, QUIET)
        return self._poll.poll(None if left is None else 1000 * left)

    def _move(self, ready: Iterable[tuple[int, int]]) -> bool:
        ended = False
        for fd, _ in ready:
            if fd == self._reply:
                self._poll.unregister(fd)
                ended = True
            elif chunk := os.read(fd, CHUNK):
                self._left -= len(chunk)
                self._sinks[fd](chunk)
            else:
                self._poll.unregister(fd)
                self._open.discard(fd)
        if self._left < 0:
            raise BottleError(f"the command wrote more than {MOST >> 20} MiB")
        return ended
