"""The proxy's place: what is to run beside a bottle, and the site on which a backend runs it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec import Struct

from claude_bottle.seam.bottle import Dial, ExecResult, Sightings
from claude_bottle.seam.traits import Listen, Runs, Way

if TYPE_CHECKING:  # a plan can be shown without either
    import socket
    import subprocess

__all__ = ["Address", "File", "Outpost", "Recipe", "Sidecar", "SidecarSpec", "Site", "Warm"]


class Address(NamedTuple):
    """A host and a port that can be dialled."""

    host: str
    port: int


class Outpost(Struct, frozen=True, kw_only=True):
    """Witnesses on a bottle's host where that is another machine than this one, and a look around from it.

    `host` is its name. Each witness at `addresses` answers with what it is sent. `look` is `Bottle.look` from the
    host itself. `here` are witnesses on this machine.
    """

    host: str
    addresses: tuple[Address, ...]
    look: Callable[[Sequence[Dial], Sequence[str]], Sightings]
    here: tuple[Address, ...] = ()


class File(Struct, frozen=True):
    """A file for a sidecar: `name` is relative to the site's root, and it belongs to the sidecar's uid."""

    name: str
    data: bytes
    mode: int = 0o600

    def __repr__(self) -> str:  # the data may be a key
        return f"<File {self.name}: {len(self.data)} bytes>"


class Recipe(Struct, frozen=True, kw_only=True):
    """An image that is built where it is not there yet, from nothing but what stands here.

    `name` is without a tag: a backend tags it by the hash of `containerfile` and `files`, the folder in which
    that is built. The build may use the network. `authorities` (PEM) are what this machine trusts, for it to
    find as `authorities.pem` in that folder; whether they are there is no part of the hash.
    """

    name: str
    containerfile: str
    files: tuple[File, ...] = ()
    authorities: bytes = b""


class Warm(NamedTuple):
    """A process that `warm_up` began, and our end of its descriptor 3. Whoever holds it must end it."""

    process: "subprocess.Popen[bytes]"
    channel: "socket.socket"

    def end(self) -> None:
        """Close the channel and reap the process; nothing of it is left."""
        self.channel.close()
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


class SidecarSpec(Struct, frozen=True, kw_only=True):
    """What is to run, without a word about where: each backend decides how.

    `argv` is run in `image`, one that exists under that name or one to build, or as a process of this
    machine with the environment `env` and nothing else. `ready` is a command that succeeds once it serves.
    `folders` are made below root, empty, for it alone to write in; what it writes there `Sidecar.get` reads.
    `hosts` are names with the address that each has for it, whatever the resolver says.
    `stdin` is found by it on its standard input, from when it starts, and is nowhere else: not in a file, an argument
    or a record; whether the input ends behind it is up to the backend.
    `memory` in bytes. `warm`: a started process to adopt instead of spawning `argv`. `way`: how it listens,
    where that is not as the site says.
    """

    argv: tuple[str, ...]
    image: str | Recipe | None = None
    files: tuple[File, ...] = ()
    env: Mapping[str, str] = {}
    ready: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    stdin: bytes = b""
    memory: int = 512 << 20
    warm: Warm | None = None
    way: Way | None = None

    def __repr__(self) -> str:  # what stands on its standard input is secret
        shown = (f"{it}={getattr(self, it)!r}" for it in self.__struct_fields__ if it != "stdin")
        return f"SidecarSpec({', '.join(shown)})"


class Sidecar(Protocol):
    """A sidecar that may not exist yet: until `start_bottle` has returned, only `stop` may be called."""

    def lines(self, timeout: float | None = None) -> Iterator[bytes]:
        """Yield its stdout by line from the beginning, until it ends; DeadlineError after `timeout` seconds."""
        ...

    @property
    def last_words(self) -> str:
        """The last line of its stderr so far, in text; empty if it said nothing there."""
        ...

    def exec(self, argv: Sequence[str], timeout: float) -> ExecResult:
        """Run a command beside it."""
        ...

    def wait(self, timeout: float | None = None) -> int | None:
        """Return its exit code, or None if it still runs after `timeout` seconds."""
        ...

    def put(self, files: Sequence[File]) -> None:
        """Write files below the site's root, each in place of what stands there under its name."""
        ...

    def get(self, name: str) -> Mapping[str, bytes]:
        """Return the files of a folder below the site's root by their names there; empty if there is none."""
        ...

    def stop(self) -> None:
        """End it. Idempotent."""
        ...


class Site(Protocol):
    """One bottle's names, networks and folders; nothing runs yet."""

    @property
    def runs(self) -> Runs:
        """How sidecars are run here."""
        ...

    @property
    def root(self) -> str:
        """Where a sidecar finds its files, as the sidecar sees it."""
        ...

    @property
    def listen(self) -> Listen:
        """Where the proxy is to listen."""
        ...

    def run(self, spec: SidecarSpec) -> Sidecar:
        """Begin to run a sidecar. Never waits."""
        ...

    def settle(self) -> None:
        """Wait for what may take minutes, such as an image that is built or fetched; a signal may break in here."""
        ...

    def witness(self) -> AbstractContextManager[Sequence[Address] | Outpost]:
        """Open a listener on the host, at each address at which a bottle might see the host.

        Core dials each itself, to know that it answers; an outpost it asks to, where the host is another machine.
        """
        ...

    def close(self) -> None:
        """Sweep all that was made through it, by name or label, half-made things too. Idempotent."""
        ...
