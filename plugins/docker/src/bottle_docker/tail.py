"""The output of a container that runs, kept for readers that come later."""

import threading
import time
from collections import deque
from collections.abc import Iterator

from bottle_docker.stream import STDOUT, Stream
from claude_bottle.errors import DeadlineError

__all__ = ["Tail"]

KEPT = 4096  # lines of stdout that a second reader still finds
WORDS = 4096  # bytes of the end of stderr


class Tail:
    """Reads a stream to its end in a thread of its own. The engine itself keeps nothing of it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._lines: deque[bytes] = deque(maxlen=KEPT)
        self._count = 0
        self._words = b""
        self._ended = False
        self._changed = threading.Condition()
        threading.Thread(target=self._read, name="container output", daemon=True).start()

    def lines(self, timeout: float | None = None) -> Iterator[bytes]:
        """Yield stdout by line from the beginning, until it ends; DeadlineError after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        index = 0
        while True:
            with self._changed:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if not self._changed.wait_for(lambda at=index: self._count > at or self._ended, left):
                    raise DeadlineError("the proxy said nothing in time")
                first = self._count - len(self._lines)
                fresh = [self._lines[at - first] for at in range(max(index, first), self._count)]
                index, ended = self._count, self._ended
            yield from fresh
            if ended and not fresh:
                return

    def wait(self, timeout: float | None = None) -> bool:
        """Say whether it has ended, after `timeout` seconds at the latest."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, timeout)

    @property
    def last_words(self) -> str:
        """The last line of stderr, empty if there is none."""
        with self._changed:
            return self._words.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]

    def close(self) -> None:
        """Read no further."""
        self._stream.close()

    def _read(self) -> None:
        part = b""
        try:
            for frame in self._stream.frames():
                if frame.stream == STDOUT:
                    *whole, part = (part + frame.data).split(b"\n")
                    self._add(whole)
                else:
                    with self._changed:
                        self._words = (self._words + frame.data)[-WORDS:]
        except OSError:
            pass  # closed under us
        finally:
            self._add([part] if part else [])
            self._stream.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _add(self, lines: list[bytes]) -> None:
        with self._changed:
            self._lines.extend(lines)
            self._count += len(lines)
            self._changed.notify_all()
