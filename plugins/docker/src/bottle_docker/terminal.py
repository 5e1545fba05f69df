"""The user's terminal and one that the engine opens inside: bytes both ways, its size, and its state afterwards."""

import os
import select
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress

from bottle_docker.engine import Engine
from bottle_docker.execs import CHUNK, MARK, Command, Place, Stdin, end_all, exit_code, run_command, wrapped
from bottle_docker.leash import leashed
from bottle_docker.stream import Stream
from claude_bottle.errors import BottleError
from claude_bottle.seam.terminal import STDERR, STDIN, STDOUT, Write, has_terminal, raw, resizing, terminal_variables

__all__ = ["attach"]

TRIES = 20  # a terminal can be given a size only once its command runs
PAUSE = 0.05
SIZING = threading.Lock()  # a process has one terminal


def attach(place: Place, argv: Sequence[str], env: Mapping[str, str], *, root: bool, ours: bool) -> int:
    """Run a command with our terminal, or our three streams where stdin and stdout are not both terminals.

    What it began ends with this process: with the bottle, where that is `ours`.
    """
    token = os.urandom(8).hex()
    with nullcontext() if ours else leashed(place, token):
        if has_terminal():
            size = os.get_terminal_size(STDIN)
            given = {**terminal_variables(), **env}
            command = wrapped("", argv, given, root=root, size=(size.lines, size.columns))
            return run_on_terminal(place, command, token)
        command = wrapped("", argv, env, root=root)
        return run_command(place, command, feed=feed_stdin, out=Write(STDOUT), err=Write(STDERR), token=token)


def feed_stdin(stdin: Stdin) -> None:
    """Copy our stdin until it ends; nothing more is taken from it once the command has ended."""
    poll = select.poll()
    poll.register(STDIN, select.POLLIN)
    while not stdin.stopped.is_set():
        if poll.poll(50) and not stdin.stopped.is_set():
            chunk = os.read(STDIN, CHUNK)
            if not chunk:
                return
            stdin.write(chunk)


def run_on_terminal(place: Place, command: Command, token: str) -> int:
    """Run a command on a terminal that is opened inside, and be its screen and keyboard until it ends.

    Ours is raw meanwhile: Ctrl-C, Ctrl-Z and the rest act inside. It is restored however this ends, and what the
    command began ends with us: the engine would let it live on.
    """
    engine = place.engine
    env = {**command.env, MARK: token}
    exec_id = engine.create_exec(
        place.container, command.argv, user=place.user, stdin=True, tty=True, env=env, cwd=place.cwd
    )

    stream = engine.start_exec(exec_id, tty=True)

    def leave() -> None:
        stream.close()  # what lies there unread would keep the engine from answering
        with suppress(BottleError, OSError):
            end_all(place, token)

    with ExitStack() as stack:
        stack.callback(stream.close)
        screen = stack.enter_context(raw(STDIN, leave))
        stack.enter_context(resizing(lambda _lines, _columns: follow_size(engine, exec_id)))
        try:
            converse(stream, screen)
        except BaseException:  # the terminal is gone, or a signal unwinds us
            leave()
            raise
    return exit_code(engine, exec_id)


def follow_size(engine: Engine, exec_id: str) -> None:
    """Give the inner terminal the size of ours, in a thread: the engine may not have started the command yet."""

    def resize() -> None:
        for _ in range(TRIES):
            with suppress(BottleError, OSError), SIZING:
                size = os.get_terminal_size(STDIN)  # now: it may have changed since, and a later one been given
                engine.resize_exec(exec_id, size.lines, size.columns)
                return
            time.sleep(PAUSE)

    threading.Thread(target=resize, name="terminal size", daemon=True).start()


def converse(stream: Stream, show: Write) -> None:
    """Move bytes between our terminal and the inner one until that is closed."""
    poll = select.poll()
    for fd in (STDIN, stream.fileno()):
        poll.register(fd, select.POLLIN)
    while True:
        ready = {stream.fileno(): select.POLLIN} if stream.pending else dict(poll.poll())
        if stream.fileno() in ready:
            shown = stream.recv()
            if not shown:
                return
            show(shown)
        if STDIN in ready:
            typed = typed_now()
            if not typed:
                raise BottleError("the terminal is gone")  # the session inside ends with it
            with suppress(OSError):
                stream.send(typed)


def typed_now() -> bytes:
    """Return what was typed; empty once the terminal is gone."""
    try:
        return os.read(STDIN, CHUNK)
    except OSError:  # EIO, Linux's way to say that it was closed
        return b""
