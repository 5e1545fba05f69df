"""A running bottle, as core and the provisioners have it; the same class from every terminal."""

import io
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import BinaryIO, Literal, NamedTuple

from bottle_docker.containers import PROXY, WORKSPACE
from bottle_docker.engine import Engine
from bottle_docker.execs import MOST, Feed, Place, copied, run_command, wrapped
from bottle_docker.labels import Mark
from bottle_docker.look import Control, least, look_argv, look_input, read_answers
from bottle_docker.trust import Trust
from claude_bottle.errors import BottleError, LaunchError, NotFoundError, UnavailableError
from claude_bottle.seam.bottle import Dial, ExecResult, Service, Sightings
from claude_bottle.seam.tree import Entry, FolderEntry, checked_path, pack, unpack

__all__ = ["DockerBottle", "Own"]

PATIENCE = 15.0  # seconds for a look around, each part of which takes two at most
NOT_FOUND = 44
ROOT = "0:0"


class Own(NamedTuple):
    """What the launching process alone has.

    `keep` takes what must be undone when the bottle ends; `near`: this machine was seen to be the engine's host.
    """

    trust: Trust
    keep: Callable[[Callable[[], None]], object]
    near: bool


class DockerBottle:
    """A bottle: its container, and how it is ended; with what its launcher has of it, in that process."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        name: str,
        mark: Mark,
        *,
        end: Callable[[], None],
        own: Own | None = None,
    ) -> None:
        self._engine = engine
        self._container = container
        self._name = name
        self._mark = mark
        self._end = end
        self._own = own

    def __repr__(self) -> str:
        return f"<DockerBottle {self.name}>"

    @property
    def name(self) -> str:
        """See `seam.bottle.Bottle`."""
        return self._name

    @property
    def slug(self) -> str:
        """See `seam.bottle.Bottle`."""
        return self._mark.slug

    @property
    def launch(self) -> str:
        """See `seam.bottle.Bottle`."""
        return self._mark.launch

    @property
    def pid(self) -> int:
        """See `seam.bottle.BoundBottle`: the container's first process."""
        return self._engine.first_process(self._container)

    @property
    def state(self) -> Literal["running", "stopped"]:
        """See `seam.bottle.Bottle`."""
        return "running" if self._engine.running(self._container) else "stopped"

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
        """See `seam.bottle.Bottle`. Root inside has no capability: it owns files, and no more; it sees no secret."""
        if argv is not None and script:
            raise ValueError("a command and a script: one of them is meant")
        feed = copied(io.BytesIO(stdin) if isinstance(stdin, bytes) else stdin) if stdin is not None else None
        return self._run(script, argv, feed, root=root, env=env, timeout=timeout)

    def attach(self, argv: Sequence[str], *, root: bool = False, env: Mapping[str, str] | None = None) -> int:
        """See `seam.bottle.Bottle`."""
        from bottle_docker import terminal  # noqa: PLC0415 - a launch without a terminal does without termios

        return terminal.attach(self._place(root=root), argv, env or {}, root=root, ours=self._own is not None)

    def put(self, entries: Iterable[Entry], dest: str) -> None:
        """See `seam.bottle.Bottle`. The agent's own user lays them: no link leads where it could not write."""
        checked_path(dest)
        laid = list(entries)
        script = f"{make_way(laid, dest)}cd {shlex.quote(dest)} && exec tar -x -p --no-same-owner -f -"
        buffer = io.BytesIO()
        pack(laid, buffer)
        buffer.seek(0)
        result = self._run(script, None, copied(buffer))
        if result.returncode != 0:
            raise BottleError(f"{dest} in {self.name} could not be written: {first_line(result.stderr)}")

    def get(self, path: str) -> Iterator[Entry]:
        """See `seam.bottle.Bottle`. BottleError for a tree of more than MOST bytes."""
        checked_path(path)
        place, name = shlex.quote(path), shlex.quote(PurePosixPath(path).name)
        above = shlex.quote(str(PurePosixPath(path).parent))
        script = (
            f"[ -e {place} ] || [ -L {place} ] || exit {NOT_FOUND}\n"
            f"if [ -d {place} ] && [ ! -L {place} ]; then exec tar -c -f - -C {place} .\n"
            f"else exec tar -c -f - -C {above} -- {name}; fi"
        )
        result = self._run(script, None, None)
        if result.returncode == NOT_FOUND:
            raise NotFoundError(f"there is no {path} in {self.name}")
        if result.returncode != 0:
            raise BottleError(f"{path} in {self.name} could not be read: {first_line(result.stderr)}")
        return unpack(io.BytesIO(result.stdout))

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """See `seam.bottle.Bottle`."""
        control = Control(PROXY, least(names)) if self._own and self._own.near else None
        feed = copied(io.BytesIO(look_input(dials, names, control)))
        result = self._run("", look_argv(), feed, timeout=PATIENCE)
        if result.returncode != 0:
            raise LaunchError(
                f"the bottle {self.name} could not look around: {first_line(result.stderr)}", "its image needs perl"
            )
        return read_answers(self.name, result.stdout, len(dials), len(names))

    def trust_ca(self, ca: bytes) -> bool:
        """Make programs inside trust a CA (PEM); False where this process did not start the bottle."""
        if self._own is None:
            return False
        self._own.trust.fill(self._engine, ca)
        return True

    def serve_socket(self, path: str, service: Service) -> None:
        """See `seam.bottle.SocketBottle`. The agent's own user makes it."""
        from bottle_docker.carry import Carried  # noqa: PLC0415 - most bottles have no socket

        with ExitStack() as failing:
            failing.callback(service.close)
            checked_path(path)
            if self._own is None:
                raise UnavailableError(f"another process launched {self.name}", "it alone can answer a socket in it")
            self._own.keep(Carried(self._place(), path, service).close)
            failing.pop_all()

    def stop(self) -> None:
        """See `seam.bottle.Bottle`."""
        self._end()

    def _place(self, *, root: bool = False) -> Place:
        if root and self._mark.bound:
            raise UnavailableError(
                f"{self.name} has no root: in the folder that is bound it would be this machine's own"
            )
        return Place(self._engine, self._container, ROOT if root else self._mark.agent, WORKSPACE)

    def _run(
        self,
        script: str,
        argv: Sequence[str] | None,
        feed: Feed | None,
        *,
        root: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> ExecResult:
        out, err = Bounded(), Bounded()
        command = wrapped(script, argv, env, root=root)
        place = self._place(root=root)
        code = run_command(place, command, feed=feed, out=out.add, err=err.add, timeout=timeout)
        return ExecResult(code, bytes(out.data), bytes(err.data))


class Bounded:
    """Output that ends in an error before it fills our memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, data: bytes) -> None:
        """Keep it; BottleError once there is too much."""
        if len(self.data) + len(data) > MOST:
            raise BottleError(f"the command wrote more than {MOST >> 20} MiB")
        self.data.extend(data)


def make_way(entries: Sequence[Entry], dest: str) -> str:
    """Return lines that make a folder for the entries, and remove links that stand where their parents go."""
    folders = {str(above) for entry in entries for above in PurePosixPath(entry.name).parents}
    folders |= {str(PurePosixPath(entry.name)) for entry in entries if isinstance(entry, FolderEntry)}
    below = sorted(folders - {"."}, key=lambda name: name.count("/"))
    paths = [shlex.quote(path) for path in (dest, *(f"{dest.rstrip('/')}/{name}" for name in below))]
    return "".join(f"if [ -L {path} ]; then rm -f {path}; fi; mkdir -p {path} || exit\n" for path in paths)


def first_line(stderr: bytes) -> str:
    """Return the first line that a program wrote, cut short: what follows it is a consequence."""
    return stderr.decode("utf-8", "replace").strip().partition("\n")[0][:300]
