"""A running bottle, the only handle through which anything inside is touched."""

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, Literal, Protocol, runtime_checkable

from msgspec import Struct

from claude_bottle.seam.tree import Entry

__all__ = ["Bottle", "BoundBottle", "Dial", "ExecResult", "Service", "Sightings", "SocketBottle"]


class ExecResult(Struct, frozen=True):
    """What a command left: both streams in bytes, and its exit code (128 + n after signal n)."""

    returncode: int
    stdout: bytes = b""
    stderr: bytes = b""


class Dial(Struct, frozen=True):
    """A connection to try from the agent's own network, and what to say on it."""

    host: str
    port: int
    send: bytes = b""


class Sightings(Struct, frozen=True):
    """What was seen from the agent's own network, in the order asked.

    `answers`: None where no connection came about, else the first bytes that came back (empty if none).
    `resolved`: whether the bottle's own resolver knows the name.
    """

    answers: tuple[bytes | None, ...] = ()
    resolved: tuple[bool, ...] = ()


class Bottle(Protocol):
    """A bottle that runs. All commands in it have the bottle's environment, forwarded values included."""

    @property
    def name(self) -> str:
        """The name under which `bottle list` shows it."""
        ...

    @property
    def slug(self) -> str:
        """The agent's name, lowercased and hyphenated."""
        ...

    @property
    def launch(self) -> str:
        """The random label of the launch that made it."""
        ...

    @property
    def state(self) -> Literal["running", "stopped"]:
        """Whether commands can be run in it."""
        ...

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
        """Run a POSIX script, which never crosses argv, and return what it left.

        With `argv` that command is run instead and `script` must be empty. `stdin` may be of any size.
        `env` adds to the bottle's environment. DeadlineError after `timeout` seconds: the group is killed.
        UnavailableError for `root` where the backend's traits do not have it.
        """
        ...

    def attach(self, argv: Sequence[str], *, root: bool = False, env: Mapping[str, str] | None = None) -> int:
        """Give a command our terminal, or three pipes where stdin and stdout are not both terminals.

        Returns its exit code. The terminal has size, signals and job control, and is restored afterwards.
        UnavailableError for `root` where the backend's traits do not have it.
        """
        ...

    def put(self, entries: Iterable[Entry], dest: str) -> None:
        """Lay entries below the absolute path `dest`, with modes and links, replacing what is there.

        An entry's parents are made; a link in the way is replaced, never followed.
        """
        ...

    def get(self, path: str) -> Iterator[Entry]:
        """Yield the tree at `path`, names relative to it; links come as links. NotFoundError if it is not there."""
        ...

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """Try connections and names from the agent's own network, each for at most two seconds.

        A launch calls it from threads of their own, while the CA goes in.
        """
        ...

    def stop(self) -> None:
        """End everything in it and remove it. Idempotent."""
        ...


class Service(Protocol):
    """What answers, on this machine, whoever connects to a socket inside: the agent, who is trusted with nothing."""

    def serve(self, connection: socket.socket) -> None:
        """Talk with one client until either side ends; called in a thread of its own. The caller closes the socket."""
        ...

    def close(self) -> None:
        """Let go of everything: the bottle has ended, and with it every connection. Idempotent."""
        ...


@runtime_checkable
class SocketBottle(Bottle, Protocol):
    """A bottle of a backend whose traits have `unix`, in the process that launched it."""

    def serve_socket(self, path: str, service: Service) -> None:
        """Make a unix socket at the absolute path `path` inside, in the place of what is there, answered by `service`.

        The agent's user can connect to it. From now on `service` is the bottle's own: it is closed when the bottle
        ends, however that is, and at once where this fails. UnavailableError from any other process.
        """
        ...


@runtime_checkable
class BoundBottle(Bottle, Protocol):
    """A bottle of a backend whose traits have `bind`, with mounts, in the process that launched it."""

    @property
    def pid(self) -> int:
        """A process of this machine that ends after everything else in the bottle has."""
        ...
