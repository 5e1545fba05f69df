"""The stage's site, sidecar and bottle."""

import os
import shutil
import socket
import subprocess
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
from msgspec import Struct
from stage_world import drop, kept, leak, note, put, step

from claude_bottle.errors import NotFoundError
from claude_bottle.seam.bottle import Dial, ExecResult, Sightings
from claude_bottle.seam.owner import Launch
from claude_bottle.seam.sidecar import Address, File, SidecarSpec
from claude_bottle.seam.traits import Listen, Runs
from claude_bottle.seam.tree import Entry

__all__ = ["StageBottle", "StageSite", "running"]


class StageSidecar:
    """A process in a session of its own."""

    def __init__(self, spec: SidecarSpec, root: Path) -> None:
        self._root, self._read = root, False
        self._process = subprocess.Popen(
            spec.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(spec.env),
            start_new_session=True,
        )
        put(f"process-{self._process.pid}")
        note(f"sidecar {self._process.pid}")

    def lines(self, timeout: float | None = None) -> Iterator[bytes]:
        """Yield its stdout."""
        del timeout
        if (stream := self._process.stdout) is not None:
            self._read = True
            with stream:
                yield from stream

    def exec(self, argv: Sequence[str], timeout: float) -> ExecResult:
        """Run a command beside it."""
        done = subprocess.run(argv, timeout=timeout, capture_output=True, check=False)
        return ExecResult(done.returncode, done.stdout, done.stderr)

    @property
    def last_words(self) -> str:
        """Nothing is kept of its stderr."""
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

    def get(self, name: str) -> Mapping[str, bytes]:
        """Have nothing."""
        del name
        return {}

    def stop(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None and not self._read:
            self._process.stdout.close()
        drop(f"process-{self._process.pid}")


class StageSite:
    """A folder, a port, and what was made here."""

    runs: Runs = "process"

    def __init__(self, slug: str, launch: Launch) -> None:
        self.slug, self.label = slug, launch.label
        self.name = f"claude-bottle-{slug}"
        self._root = kept() / f"site-{launch.label}"
        self._root.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.listen = Listen("tcp", "127.0.0.1", probe.getsockname()[1])
        self.bottles: list[StageBottle] = []
        self._sidecars: list[StageSidecar] = []
        note("site made")

    @property
    def root(self) -> str:
        """Return the folder."""
        return str(self._root)

    def run(self, spec: SidecarSpec) -> StageSidecar:
        """Start a process; the warm one is none of ours to use."""
        sidecar = StageSidecar(spec, self._root)
        self._sidecars.append(sidecar)
        return sidecar

    def settle(self) -> None:
        """Nothing takes long here."""

    @contextmanager
    def witness(self) -> Generator[Sequence[Address]]:
        """Listen on this machine, unless the environment wants a witness that is none."""
        step("witness")
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = Address("127.0.0.1", server.getsockname()[1])
            match leak():
                case "no witness":
                    yield []
                case "deaf witness":
                    server.close()
                    yield [address]
                case _:
                    yield [address]

    def close(self) -> None:
        """Sweep everything."""
        step("close site")
        for bottle in self.bottles:
            bottle.end()
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


class StageBottle:
    """A name and an environment; commands run on this machine."""

    def __init__(self, name: str, slug: str, launch: str, env: Mapping[str, str], listen: Listen) -> None:
        self.name, self.slug, self.launch = name, slug, launch
        self._env, self.listen = env, listen

    @property
    def _file(self) -> Path:
        return kept() / f"bottle-{self.name}-{self.launch}"

    def begin(self) -> None:
        """Let it exist."""
        note("bottle made")
        content = msgspec.json.encode(Note(self.name, self.slug, self.launch, self._env, self.listen))
        put(self._file.name, content.decode())

    @property
    def state(self) -> Literal["running", "stopped"]:
        """Return whether it exists."""
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
        """Run a script."""
        del stdin, root
        command = argv or ("/bin/sh", "-s")
        done = subprocess.run(
            command,
            input=script.encode(),
            env={**self._env, **(env or {})},
            timeout=timeout,
            capture_output=True,
            check=False,
        )
        return ExecResult(done.returncode, done.stdout, done.stderr)

    def attach(self, argv: Sequence[str], *, root: bool = False, env: Mapping[str, str] | None = None) -> int:
        """Run a command on our own streams."""
        del root
        environment = {"PATH": os.environ["PATH"], **self._env, **(env or {})}
        process = subprocess.Popen(argv, env=environment)
        try:
            step("attach")  # only now: who waits for it sends a signal, which must not come between the two lines above
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        return code if code >= 0 else 128 - code

    def put(self, entries: Iterable[Entry], dest: str) -> None:
        """Say so."""
        note(f"put {len(list(entries))} at {dest}")

    def get(self, path: str) -> Iterator[Entry]:
        """Have nothing."""
        raise NotFoundError(f"there is nothing at {path}")

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """Dial the proxy alone, unless the environment tears the walls down."""
        step("look")
        own = (self.listen.host, self.listen.port)
        answers = tuple(
            dial_once(dial) if (dial.host, dial.port) == own or leak() == "witness" else None for dial in dials
        )
        return Sightings(answers, tuple(leak() == "name" for _ in names))

    def end(self) -> None:
        """Let it be gone."""
        drop(self._file.name)

    def stop(self) -> None:
        """Let it be gone, on request; another terminal ends the launcher's command too."""
        step("stop bottle")
        self.end()


def dial_once(dial: Dial) -> bytes | None:
    """Connect, say it, and return the first bytes of the answer."""
    try:
        with socket.create_connection((dial.host, dial.port), timeout=2) as peer:
            peer.sendall(dial.send)
            peer.shutdown(socket.SHUT_WR)
            return peer.recv(4096)
    except TimeoutError:
        return b""
    except OSError:
        return None


def running() -> list[StageBottle]:
    """Return a handle for each bottle that exists."""
    notes = (msgspec.json.decode(path.read_bytes(), type=Note) for path in kept().glob("bottle-*"))
    return [StageBottle(it.name, it.slug, it.launch, it.env, it.listen) for it in notes]
