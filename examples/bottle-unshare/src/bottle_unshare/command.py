"""Commands in a bottle, as this side sees them: a process of ours that goes in, and streams that are handed on."""

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO

__all__ = ["Copies", "Sent", "memory", "send_in"]

CHUNK = 1 << 16


class Sent(subprocess.Popen[bytes]):
    """A process of ours that went in. It ends what it began once the leash is let go, by us or by our death."""

    leash: int

    def release(self) -> None:
        """Let the leash go. It never waits: a signal may be here."""
        if self.leash >= 0:
            os.close(self.leash)
            self.leash = -1

    def end(self) -> None:
        """Kill whatever it began, in whatever process groups, and reap it."""
        self.release()
        self.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()


def send_in(
    request: Mapping[str, object],
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    more: Sequence[int] = (),
) -> Sent:
    """Start `inside` with a request, which may hold secrets: it is in no argument, no environment and no file."""
    theirs, leash = os.pipe()
    try:
        with memory(json.dumps({**request, "leash": theirs}).encode()) as file:
            sent = Sent(
                [sys.executable, "-S", "-P", "-m", "bottle_unshare.inside", str(file.fileno())],
                env={"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
                cwd="/",
                pass_fds=(file.fileno(), theirs, *more),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,  # the terminal's Ctrl-C is not for it
            )
    except OSError:
        os.close(leash)
        raise
    finally:
        os.close(theirs)
    sent.leash = leash
    return sent


def memory(data: bytes) -> IO[bytes]:
    """Return a file of no folder that holds these bytes."""
    file = os.fdopen(os.memfd_create("bottle"), "w+b")
    file.write(data)
    file.seek(0)
    return file


class Copies:
    """Streams that are handed on by a thread each, until they end or the process has ended."""

    def __init__(self, process: Sent) -> None:
        self._ended = os.pidfd_open(process.pid)
        self._outward: list[threading.Thread] = []

    def out(self, source: int, sink: Callable[[bytes], object]) -> None:
        """Hand on what the command writes: all that is there when it ends, and nothing that a child adds later."""
        thread = threading.Thread(target=self._copy, args=(source, sink), daemon=True)
        self._outward.append(thread)
        thread.start()

    def into(self, source: int, sink: Callable[[bytes], object], close: Callable[[], object]) -> None:
        """Hand on what the command reads, and its end; once the command has ended nothing more is taken."""

        def copy() -> None:
            self._copy(source, sink, taking=False)
            with suppress(OSError):
                close()

        threading.Thread(target=copy, daemon=True).start()

    def finish(self) -> None:
        """Wait until all that the command wrote is handed on."""
        for thread in self._outward:
            thread.join()
        os.close(self._ended)

    def _copy(self, source: int, sink: Callable[[bytes], object], *, taking: bool = True) -> None:
        with suppress(OSError):  # whoever reads it has gone; the terminal is closed
            while True:
                ready, _, _ = select.select([source, self._ended], [], [])
                if source not in ready or (self._ended in ready and not taking):
                    return
                if not (data := os.read(source, CHUNK)):
                    return
                sink(data)
