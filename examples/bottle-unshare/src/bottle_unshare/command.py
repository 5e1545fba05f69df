"""Commands in a bottle, as this side sees them: a process of ours that goes in, and streams that are handed on."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

__all__ = ["Copies", "end", "kill", "memory", "send_in"]

CHUNK = 1 << 16


def send_in(
    request: Mapping[str, object],
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    more: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `inside` with a request, which may hold secrets: it is in no argument, no environment and no file."""
    with memory(json.dumps(request).encode()) as file:
        return subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", "bottle_unshare.inside", str(file.fileno())],
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/",
            pass_fds=(file.fileno(), *more),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,  # the terminal's Ctrl-C is not for it
        )


def memory(data: bytes) -> IO[bytes]:
    """Return a file of no folder that holds these bytes."""
    file = os.fdopen(os.memfd_create("bottle"), "w+b")
    file.write(data)
    file.seek(0)
    return file


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and whatever it began, and reap it."""
    kill(process)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and all of its session, whatever the process groups. It never waits: a signal may be here."""
    if process.poll() is not None:
        return
    with suppress(OSError):
        for leader in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii").split():
            while members := [pid for pid, session in sessions() if session == int(leader)]:
                for pid in members:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
    process.kill()


def sessions() -> list[tuple[int, int]]:
    """Return each process of this machine that lives, with the session that it belongs to."""
    found: list[tuple[int, int]] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, session, *_ = path.read_bytes().rpartition(b")")[2].split()
            if state not in b"ZX":
                found.append((int(path.parent.name), int(session)))
    return found


class Copies:
    """Streams that are handed on by a thread each, until they end or the process has ended."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
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
