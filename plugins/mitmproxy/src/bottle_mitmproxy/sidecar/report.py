"""What the proxy says: one JSON object a line on stdout, without ever waiting for whoever reads it."""

import os
import sys
import threading
from collections.abc import Mapping
from queue import Full, Queue

from msgspec import json

__all__ = ["Reporter", "complain"]

BACKLOG = 4096


class Reporter:
    """Writes from a thread of its own; what no longer fits into the backlog is counted and the count reported."""

    def __init__(self, fd: int = 1, backlog: int = BACKLOG) -> None:
        self._fd = fd
        self._queue: Queue[bytes | None] = Queue(backlog)
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="report", daemon=True)
        self._thread.start()

    def send(self, message: Mapping[str, object]) -> None:
        """Queue a message. Never blocks."""
        try:
            self._queue.put_nowait(json.encode(message) + b"\n")
        except Full:
            self._lost += 1

    def close(self, timeout: float = 1.0) -> None:
        """Write what is queued, for at most `timeout` seconds."""
        try:
            self._queue.put(None, timeout=timeout)
        except Full:
            return
        self._thread.join(timeout)

    def _write(self) -> None:
        line: bytes | None = b""
        try:
            while line is not None:
                line = self._queue.get()
                self._write_all((line or b"") + self._losses())
        except OSError:  # nobody will ever read: what comes is counted as lost
            return

    def _write_all(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._fd, data) :]

    def _losses(self) -> bytes:
        lost, self._lost = self._lost, 0
        return json.encode({"lost": lost}) + b"\n" if lost else b""


def complain(text: str) -> None:
    """Say something to humans, on stderr."""
    sys.stderr.write(f"bottle-mitmproxy: {text}\n")
    sys.stderr.flush()
