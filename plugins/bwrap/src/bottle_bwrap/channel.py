"""Requests to the agent server of a bottle: the same from the launching process and from any other terminal."""

import json
import os
import socket
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, cast

from bottle_bwrap.inside.wire import MESSAGE, close_all, receive, send
from bottle_bwrap.memfd import sealed
from claude_bottle.errors import DeadlineError, LaunchError, UnavailableError

__all__ = ["SOCKET", "Channel", "Reply", "connect", "direct", "relayed"]

SOCKET = "control"
PATIENCE = 5.0  # seconds for what needs no work of the agent server
Post = Callable[[Sequence[int]], None]


class Channel:
    """A way to post a request's descriptors to an agent server. `name` is the bottle's, for messages."""

    def __init__(self, name: str, post: Post) -> None:
        self.name = name
        self._post = post

    def request(self, payload: Mapping[str, object], stdio: Sequence[int] = ()) -> "Reply":
        """Post one request; the payload travels in a memfd, so its size never matters.

        UnavailableError if the bottle has ended. The caller keeps its own `stdio` descriptors.
        """
        with ExitStack() as stack:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(theirs)
            data = sealed("request", json.dumps(payload).encode())
            stack.callback(os.close, data)
            try:
                self._post([theirs.fileno(), data, *stdio])
            except OSError as error:
                ours.close()
                raise self.ended() from error
        return Reply(self, ours)

    def take_environment(self, environment: Mapping[str, str]) -> None:
        """Give the agent server the variables that every command of this bottle has."""
        with self.request({"op": "environment", "env": dict(environment)}) as reply:
            reply.returncode(timeout=PATIENCE)

    def ended(self) -> UnavailableError:
        """Return the error for a bottle that is not there any more."""
        return UnavailableError(f"the bottle {self.name} has ended", "see `bottle list`")


class Reply:
    """The other end of one request. Closing it kills the session that the request started."""

    def __init__(self, channel: Channel, sock: socket.socket) -> None:
        self._channel = channel
        self.socket = sock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def master(self) -> int:
        """Wait for the terminal that was opened inside, and return its master."""
        _, fds = self._next()
        if len(fds) != 1 or not os.isatty(fds[0]):
            close_all(fds)
            raise LaunchError(f"the bottle {self._channel.name} opened no terminal")
        return fds[0]

    def listener(self) -> socket.socket:
        """Wait for the unix listener that was made inside."""
        self.socket.settimeout(PATIENCE)
        answer, fds = self._next()
        if len(fds) != 1 or not stat.S_ISSOCK(os.fstat(fds[0]).st_mode):
            close_all(fds)
            reason = answer.get("error", "it sent none")
            raise LaunchError(f"the bottle {self._channel.name} made no socket: {reason}")
        return socket.socket(fileno=fds[0])

    def returncode(self, timeout: float | None = None) -> int:
        """Wait for the exit code, 0 to 255; DeadlineError after `timeout` seconds."""
        self.socket.settimeout(timeout)
        answer, fds = self._next()
        close_all(fds)
        code = answer.get("rc")
        if not isinstance(code, int) or not 0 <= code <= 255:  # noqa: PLR2004 - a byte
            raise LaunchError(
                f"the bottle {self._channel.name} could not run it: {answer.get('error', 'no exit code')}"
            )
        return code

    def _next(self) -> tuple[Mapping[str, object], list[int]]:
        try:
            data, fds, _ = receive(self.socket)
        except TimeoutError as error:
            raise DeadlineError(f"no answer from the bottle {self._channel.name}") from error
        except (EOFError, OSError) as error:
            raise self._channel.ended() from error
        try:
            answer: Any = json.loads(data)
        except ValueError:
            answer = None
        return (cast("dict[str, object]", answer) if isinstance(answer, dict) else {}), fds


def direct(control: socket.socket) -> Post:
    """Return the way of the launching process: the control socket itself."""

    def post(fds: Sequence[int]) -> None:
        send(control, b"request", fds)

    return post


def relayed(folder: Path) -> Post:
    """Return the way of any other process of this user: the socket in the bottle's folder."""

    def post(fds: Sequence[int]) -> None:
        with connect(folder) as sock:
            send(sock, b"request", fds)
            sock.settimeout(PATIENCE)
            if sock.recv(MESSAGE) != b"posted":
                raise BrokenPipeError

    return post


def connect(folder: Path) -> socket.socket:
    """Return a connection to the socket in a bottle's folder, however long its path is."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.connect(f"/proc/self/fd/{fd}/{SOCKET}")  # a socket's own path holds 107 bytes at most
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(fd)
    return sock
