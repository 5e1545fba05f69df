"""The frozen backend's site, sidecar and bottle: folders and processes of this machine, and no walls."""

import os
import shutil
import socket
import subprocess
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
from frozen_world import called, world
from msgspec import Struct

from claude_bottle.errors import NotFoundError
from claude_bottle.seam.bottle import Dial, ExecResult, Sightings
from claude_bottle.seam.owner import Launch
from claude_bottle.seam.sidecar import Address, File, SidecarSpec
from claude_bottle.seam.traits import Listen, Runs
from claude_bottle.seam.tree import Entry

__all__ = ["FrozenBottle", "FrozenSite", "running", "start"]


class FrozenSidecar:
    """A process in a session of its own."""

    def __init__(self, spec: SidecarSpec, root: Path) -> None:
        self._root = root
        self.put(spec.files)
        self._process = subprocess.Popen(
            spec.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=dict(spec.env), start_new_session=True
        )

    def lines(self, timeout: float | None = None) -> Iterator[bytes]:
        """Yield its stdout."""
        del timeout
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            yield from stream

    def exec(self, argv: Sequence[str], timeout: float) -> ExecResult:
        """Run a command beside it."""
        done = subprocess.run(argv, timeout=timeout, capture_output=True, check=False)
        return ExecResult(done.returncode, done.stdout, done.stderr)

    @property
    def last_words(self) -> str:
        """Keep nothing of its stderr."""
        return ""

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout)
        return None

    def put(self, files: Sequence[File]) -> None:
        """Write files."""
        for file in files:
            (self._root / file.name).write_bytes(file.data)
            (self._root / file.name).chmod(file.mode)

    def get(self, name: str) -> Mapping[str, bytes]:
        """Read files."""
        return {path.name: path.read_bytes() for path in (self._root / name).glob("*")}

    def stop(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()


class FrozenSite:
    """A folder, a port, and what was made here."""

    runs: Runs = "process"

    def __init__(self, slug: str, launch: Launch) -> None:
        self.slug, self.launch, self.name = slug, launch.label, f"claude-bottle-{slug}"
        self._root = world() / f"site-{launch.label}"
        self._root.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.listen = Listen("tcp", "127.0.0.1", probe.getsockname()[1])
        self.bottles: list[FrozenBottle] = []
        self._sidecars: list[FrozenSidecar] = []

    @property
    def root(self) -> str:
        """Return the folder."""
        return str(self._root)

    def run(self, spec: SidecarSpec) -> FrozenSidecar:
        """Start a process."""
        self._sidecars.append(FrozenSidecar(spec, self._root))
        return self._sidecars[-1]

    def settle(self) -> None:
        """Wait for nothing."""
        called("settle")

    @contextmanager
    def witness(self) -> Generator[Sequence[Address]]:
        """Listen on this machine."""
        called("witness")
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield [Address("127.0.0.1", server.getsockname()[1])]

    def close(self) -> None:
        """Sweep everything."""
        called("close")
        for bottle in self.bottles:
            bottle.stop()
        for sidecar in self._sidecars:
            sidecar.stop()
        shutil.rmtree(self._root, ignore_errors=True)


class Note(Struct, frozen=True):
    """What is written down of a bottle."""

    name: str
    slug: str
    launch: str
    env: Mapping[str, str]
    listen: Listen


class FrozenBottle:
    """A file, and commands of this machine."""

    def __init__(self, note: Note) -> None:
        self.name, self.slug, self.launch = note.name, note.slug, note.launch
        self._env, self._listen = note.env, note.listen
        self._file = world() / f"bottle-{note.launch}.json"

    @property
    def state(self) -> Literal["running", "stopped"]:
        """Return whether its file is there."""
        return "running" if self._file.exists() else "stopped"

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
        """Run a command."""
        del root
        done = subprocess.run(
            argv or ["/bin/sh", "-c", script],
            input=stdin if isinstance(stdin, bytes) else b"",
            env={**self._env, **(env or {})},
            timeout=timeout,
            capture_output=True,
            check=False,
        )
        return ExecResult(done.returncode, done.stdout, done.stderr)

    def attach(self, argv: Sequence[str], *, root: bool = False, env: Mapping[str, str] | None = None) -> int:
        """Run a command on our own streams."""
        del root
        called("attach")
        return subprocess.run(argv, env={**os.environ, **self._env, **(env or {})}, check=False).returncode

    def put(self, entries: Iterable[Entry], dest: str) -> None:
        """Note the names."""
        called(f"put {' '.join(entry.name for entry in entries)} at {dest}")

    def get(self, path: str) -> Iterator[Entry]:
        """Have nothing."""
        raise NotFoundError(f"there is nothing at {path}")

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """Dial the proxy alone, and know no name."""
        own = (self._listen.host, self._listen.port)
        answers = tuple(dial_once(it) if (it.host, it.port) == own else None for it in dials)
        return Sightings(answers, tuple(False for _ in names))

    def stop(self) -> None:
        """Let it be gone."""
        self._file.unlink(missing_ok=True)


def start(site: FrozenSite, env: Mapping[str, str]) -> FrozenBottle:
    """Let a bottle exist."""
    note = Note(site.name, site.slug, site.launch, env, site.listen)
    (world() / f"bottle-{note.launch}.json").write_bytes(msgspec.json.encode(note))
    site.bottles.append(FrozenBottle(note))
    return site.bottles[-1]


def dial_once(dial: Dial) -> bytes:
    """Connect, say it, and return the first bytes of the answer."""
    with socket.create_connection((dial.host, dial.port), timeout=2) as peer:
        peer.sendall(dial.send)
        return peer.recv(4096)


def running() -> list[FrozenBottle]:
    """Return a handle for each bottle that exists."""
    return [FrozenBottle(msgspec.json.decode(path.read_bytes(), type=Note)) for path in world().glob("bottle-*.json")]
