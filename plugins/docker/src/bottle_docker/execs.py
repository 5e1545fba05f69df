"""Commands in a running container: their three streams in bytes, their end, and the environment they run in.

The engine keeps a record of a command's argv, and lets whoever asks see it. So a script comes on stdin, and the
bottle's environment from a file in memory that the container's first process was given.
"""

import os
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import BinaryIO, NamedTuple

from bottle_docker.engine import Engine
from bottle_docker.stream import STDERR, Stream
from claude_bottle.errors import BottleError, DeadlineError, UnavailableError

__all__ = [
    "CHUNK",
    "END_ALL",
    "ENV_FILE",
    "MARK",
    "MOST",
    "Command",
    "Feed",
    "Place",
    "Stdin",
    "copied",
    "end_all",
    "exit_code",
    "exports",
    "run_command",
    "wrapped",
]

ENV_FILE = "/run/bottle/env"
MARK = "BOTTLE_EXEC"
EXTRA = "BOTTLE_EXTRA"
CHUNK = 1 << 16
LINGER = 1.0  # seconds that a background process may keep a command's output open
MOST = 1 << 30
"""Bytes of output that are kept of one command: whoever is inside decides how much comes."""

BOTTLES_OWN = f". {ENV_FILE}; "
ADDED = f'eval "${EXTRA}"; unset {EXTRA}; '
RUN_ARGV = 'exec "$@"'
RUN_SCRIPT = 'read -r size; script=$(dd bs=1 count="$size" 2>/dev/null; echo .); eval "${script%.}"'

END_ALL = f"""
for environ in /proc/[0-9]*/environ; do
  process=${{environ#/proc/}}; process=${{process%/environ}}
  if tr '\\0' '\\n' <"$environ" 2>/dev/null | grep -qx "{MARK}=$1"; then kill -9 "$process" 2>/dev/null; fi
done
"""

Sink = Callable[[bytes], object]
Feed = Callable[["Stdin"], object]


class Place(NamedTuple):
    """A container, who runs a command in it, and where."""

    engine: Engine
    container: str
    user: str = ""
    cwd: str = ""


class Command(NamedTuple):
    """What is run: argv as the engine gets it, variables that nobody need hide, and what goes first on its stdin."""

    argv: Sequence[str]
    env: Mapping[str, str] = {}
    preamble: bytes = b""


class Stdin:
    """A command's stdin; BrokenPipeError once it has ended."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.stopped = threading.Event()

    def write(self, data: bytes) -> int:
        """Write all of it."""
        if self.stopped.is_set():
            raise BrokenPipeError
        try:
            self._stream.send(data)
        except OSError as error:
            raise BrokenPipeError from error
        return len(data)


def exports(environment: Mapping[str, str]) -> str:
    """Return lines of a POSIX shell that set variables."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())


def wrapped(
    script: str,
    argv: Sequence[str] | None,
    env: Mapping[str, str] | None,
    *,
    root: bool = False,
    size: tuple[int, int] | None = None,
) -> Command:
    """Return a script or a command as it is run in a bottle: with the bottle's environment, and `env` on top.

    `size` (lines, columns) is what its terminal has from the beginning: the engine gives it one a moment later.
    Root inside has the container's variables alone: the file with the others can be written by the agent.
    """
    extra = {EXTRA: exports(env or {})}
    prepare = ADDED if root else BOTTLES_OWN + ADDED
    if size is not None:
        prepare += f"stty rows {size[0]} cols {size[1]} 2>/dev/null; "
    if argv is not None and is_text(argv):
        return Command(("/bin/sh", "-c", prepare + RUN_ARGV, "/bin/sh", *argv), extra)
    if argv is not None:  # the engine takes text alone
        script = f"exec {shlex.join(argv)}"
    text = os.fsencode(script)
    return Command(("/bin/sh", "-c", prepare + RUN_SCRIPT, "/bin/sh"), extra, f"{len(text)}\n".encode() + text)


def is_text(argv: Sequence[str]) -> bool:
    """Say whether every argument can be written in UTF-8."""
    try:
        "".join(argv).encode()
    except UnicodeEncodeError:
        return False
    return True


def run_command(
    place: Place,
    command: Command,
    *,
    feed: Feed | None,
    out: Sink,
    err: Sink,
    timeout: float | None = None,
    token: str | None = None,
) -> int:
    """Run a command and return its exit code; both streams are taken as they come. `token` marks what it begins.

    DeadlineError after `timeout` seconds, and whatever `feed` or a sink raises: in each case the command is killed,
    with every process that it began and that still has its environment.
    """
    token = token or os.urandom(8).hex()
    wants_stdin = feed is not None or bool(command.preamble)
    exec_id = place.engine.create_exec(
        place.container,
        command.argv,
        user=place.user,
        stdin=wants_stdin,
        tty=False,
        env={**command.env, MARK: token},
        cwd=place.cwd,
    )
    stream = place.engine.start_exec(exec_id)
    run = _Run(stream, feed, command.preamble, {STDERR: err}, out)
    try:
        run.await_end(timeout, lambda: place.engine.exec_code(exec_id) is not None)
        return exit_code(place.engine, exec_id)
    except BaseException:  # a signal too: what the command began must not outlive whoever waits for it
        with suppress(BottleError):
            end_all(place, token)
        raise
    finally:
        run.stop()


class _Run:
    """The threads of one command: one reads its output, one feeds it."""

    def __init__(
        self, stream: Stream, feed: Feed | None, preamble: bytes, sinks: Mapping[int, Sink], out: Sink
    ) -> None:
        self._stream = stream
        self._sinks = sinks
        self._out = out
        self._preamble = preamble
        self._feed = feed
        self._stdin = Stdin(stream)
        self._error: BaseException | None = None
        self._done = threading.Event()
        self._reader = threading.Thread(target=self._read, name="bottle-output", daemon=True)
        self._reader.start()
        if feed is not None or preamble:
            threading.Thread(target=self._write, name="bottle-stdin", daemon=True).start()

    def _read(self) -> None:
        try:
            for frame in self._stream.frames():
                self._sinks.get(frame.stream, self._out)(frame.data)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the command
            self._error = self._error or error
            self._done.set()
            self._stream.drain()
        finally:
            self._done.set()

    def _write(self) -> None:
        try:
            self._stdin.write(self._preamble)
            if self._feed is not None:
                self._feed(self._stdin)
        except BrokenPipeError:
            return
        except BaseException as error:  # noqa: BLE001 - as above; an end of input now would look like the whole of it
            self._error = error
            self._done.set()
            return
        self._stream.end_input()

    def await_end(self, timeout: float | None, over: Callable[[], bool]) -> None:
        """Wait until the output has ended; DeadlineError after `timeout` seconds.

        A process in the background may hold the output open after the command itself is `over`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = 0.5
        while not self._done.wait(pause if deadline is None else max(0.0, min(pause, deadline - time.monotonic()))):
            if over():
                self._done.wait(LINGER)
                break
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlineError(f"the command did not end within {timeout:g} seconds")
            pause = min(pause * 2, 5.0)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Take nothing more from whoever feeds, and close the stream."""
        self._stdin.stopped.set()
        self._stream.close()
        self._reader.join(LINGER)


def exit_code(engine: Engine, exec_id: str) -> int:
    """Return the exit code: the engine writes it down a moment after the output has ended."""
    deadline = time.monotonic() + 10 * LINGER
    pause = 0.005
    while (code := engine.exec_code(exec_id)) is None:
        if time.monotonic() > deadline:
            raise UnavailableError("the engine does not say how a command ended", "bottle doctor")
        time.sleep(pause)
        pause = min(2 * pause, 0.2)
    return code


def end_all(place: Place, token: str) -> None:
    """Kill every process inside whose environment has this token of a command."""
    engine = place.engine
    argv = ("/bin/sh", "-c", END_ALL, "/bin/sh", token)
    exec_id = engine.create_exec(place.container, argv, user=place.user, stdin=False, tty=False, env={}, cwd="/")
    stream = engine.start_exec(exec_id)
    for _ in stream.frames():
        pass
    stream.close()


def copied(source: BinaryIO) -> Feed:
    """Return a feed that copies a stream, each piece as soon as it is there."""
    read = getattr(source, "read1", source.read)

    def feed(stdin: Stdin) -> None:
        while chunk := read(CHUNK):
            stdin.write(chunk)

    return feed
