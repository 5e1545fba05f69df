"""A running bottle, as core and the provisioners have it; the same class from every terminal."""

import base64
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import BinaryIO, Literal, cast

import msgspec
from msgspec import Struct

from bottle_bwrap.channel import Channel
from bottle_bwrap.etc import WORKSPACE
from bottle_bwrap.inside.wire import NOT_FOUND
from bottle_bwrap.record import Record
from bottle_bwrap.streams import MOST, Feed, Writer, reader, run_piped
from bottle_bwrap.trust import TrustFiles
from claude_bottle.errors import BottleError, LaunchError, NotFoundError, UnavailableError
from claude_bottle.seam.bottle import Dial, ExecResult, Service, Sightings
from claude_bottle.seam.tree import Entry, checked_path, pack, unpack

__all__ = ["BwrapBottle"]

PATIENCE = 10.0  # seconds for a look around, each part of which takes two at most
LOOK = 1 << 20  # bytes of its answer


class Seen(Struct, frozen=True):
    """The answer of `look` as it comes from inside."""

    answers: tuple[str | None, ...]
    resolved: tuple[bool, ...]


class BwrapBottle:
    """A bottle: what is known of it, a channel to its agent server, and how it is ended.

    What the launching process alone has: `trust`, the files in which programs inside look for a CA, and `keep`,
    which takes what must be undone when the bottle ends.
    """

    def __init__(
        self,
        record: Record,
        channel: Channel,
        *,
        alive: Callable[[], bool],
        end: Callable[[], None],
        trust: TrustFiles | None = None,
        keep: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._record = record
        self._channel = channel
        self._alive = alive
        self._end = end
        self.trust = trust
        self._keep = keep

    def __repr__(self) -> str:
        return f"<BwrapBottle {self.name}>"

    @property
    def name(self) -> str:
        """See `seam.bottle.Bottle`."""
        return self._record.name

    @property
    def slug(self) -> str:
        """See `seam.bottle.Bottle`."""
        return self._record.slug

    @property
    def launch(self) -> str:
        """See `seam.bottle.Bottle`."""
        return self._record.launch.label

    @property
    def pid(self) -> int:
        """See `seam.bottle.BoundBottle`: PID 1 of the sandbox, the last that the record has."""
        return self._record.processes[-1].pid

    @property
    def state(self) -> Literal["running", "stopped"]:
        """See `seam.bottle.Bottle`."""
        return "running" if self._alive() else "stopped"

    def exec(
        self,
        script: str,
        *,
        argv: Sequence[str] | None = None,
        stdin: bytes | BinaryIO | None = None,
        root: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> ExecResult:
        """See `seam.bottle.Bottle`."""
        if root:
            raise no_root()
        if argv is not None and script:
            raise ValueError("a command and a script: one of them is meant")
        what: dict[str, object] = {"script": script} if argv is None else {"argv": list(argv)}
        feed = reader(io.BytesIO(stdin) if isinstance(stdin, bytes) else stdin) if stdin is not None else None
        return self._run("exec", what, feed=feed, env=env, timeout=timeout)

    def attach(self, argv: Sequence[str], *, root: bool = False, env: Mapping[str, str] | None = None) -> int:
        """See `seam.bottle.Bottle`."""
        if root:
            raise no_root()
        from bottle_bwrap import terminal  # noqa: PLC0415 - a launch without a terminal does without termios
        from claude_bottle.seam.terminal import has_terminal, terminal_variables  # noqa: PLC0415 - as above

        request = {"argv": list(argv), "cwd": WORKSPACE}
        if not has_terminal():
            return terminal.run_on_pipes(self._channel, {"op": "exec", "env": dict(env or {}), **request})
        given = {**terminal_variables(), **(env or {})}
        return terminal.run_on_terminal(self._channel, {"op": "terminal", "env": given, **request})

    def put(self, entries: Iterable[Entry], dest: str) -> None:
        """See `seam.bottle.Bottle`."""
        checked_path(dest)

        def feed(writer: Writer) -> None:
            with io.BufferedWriter(writer, 1 << 16) as stream:
                pack(entries, cast("BinaryIO", stream))

        result = self._run("call", {"call": "put", "dest": dest}, feed=feed)
        if result.returncode != 0:
            raise BottleError(f"{dest} in {self.name} could not be written: {last_line(result.stderr)}")

    def get(self, path: str) -> Iterator[Entry]:
        """See `seam.bottle.Bottle`. BottleError for a tree of more than MOST bytes."""
        checked_path(path)
        return self._get(path)

    def _get(self, path: str) -> Iterator[Entry]:
        with ExitStack() as stack:
            out_r, out_w = os.pipe()
            stream = stack.enter_context(open(out_r, "rb"))  # noqa: PTH123 - a descriptor has no path
            with open(os.devnull, "r+b") as null, open(out_w, "wb"):  # noqa: PTH123
                payload = {"op": "call", "call": "get", "path": path}
                reply = stack.enter_context(self._channel.request(payload, (null.fileno(), out_w, null.fileno())))
            if stream.peek(1):
                yield from unpack(cast("BinaryIO", Bounded(stream)))
            while stream.read(1 << 16):  # the padding of a tar stream
                pass
            code = reply.returncode(timeout=PATIENCE)
        if code == NOT_FOUND:
            raise NotFoundError(f"there is no {path} in {self.name}")
        if code != 0:
            raise BottleError(f"{path} in {self.name} could not be read")

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """See `seam.bottle.Bottle`."""
        wanted = [[dial.host, dial.port, base64.b64encode(dial.send).decode()] for dial in dials]
        result = self._run("call", {"call": "look", "dials": wanted, "names": list(names)}, timeout=PATIENCE)
        try:
            seen = msgspec.json.decode(result.stdout[:LOOK], type=Seen)
            answers = tuple(None if answer is None else base64.b64decode(answer) for answer in seen.answers)
        except ValueError as error:
            raise LaunchError(f"the bottle {self.name} could not look around: {last_line(result.stderr)}") from error
        if len(answers) != len(dials) or len(seen.resolved) != len(names):
            raise LaunchError(f"the bottle {self.name} did not say all that it was asked")
        return Sightings(answers, seen.resolved)

    def serve_socket(self, path: str, service: Service) -> None:
        """See `seam.bottle.SocketBottle`: the listener is made inside, and comes to this process."""
        from claude_bottle.seam.listening import Listening  # noqa: PLC0415 - most bottles have no socket

        with ExitStack() as failing:
            failing.callback(service.close)
            checked_path(path)
            if self._keep is None:
                raise UnavailableError(f"another process launched {self.name}", "it alone can answer a socket in it")
            with self._channel.request({"op": "listen", "path": path}) as reply:
                listener = reply.listener()
            self._keep(Listening(listener, service).close)
            failing.pop_all()

    def stop(self) -> None:
        """See `seam.bottle.Bottle`."""
        self._end()

    def _run(
        self,
        op: str,
        what: Mapping[str, object],
        *,
        feed: Feed | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> ExecResult:
        out, err = bytearray(), bytearray()
        payload = {"op": op, "env": dict(env or {}), "cwd": WORKSPACE, **what}
        code = run_piped(self._channel, payload, feed=feed, out=out.extend, err=err.extend, timeout=timeout)
        return ExecResult(code, bytes(out), bytes(err))


class Bounded:
    """A stream from inside that ends in an error before it fills our memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = MOST

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes."""
        data = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise BottleError(f"the tree is larger than {MOST >> 20} MiB")
        return data


def no_root() -> UnavailableError:
    """Return what is said to whoever asks for root inside."""
    return UnavailableError("there is no root in this bottle", "its files are set when it starts")


def last_line(stderr: bytes) -> str:
    """Return the last line that a program wrote, cut short."""
    return stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
