"""A site that is a folder and a process: what a backend does for pipelock's image, done for its program."""

import json
import os
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from pipelock_client import Client

from bottle_pipelock.plugin import Pipelock
from bottle_pipelock.section import IMAGE, PipelockSection
from claude_bottle.errors import DeadlineError
from claude_bottle.plan.plan import EgressPlan, Plan
from claude_bottle.plan.spec import Choice, Upstream
from claude_bottle.seam.bottle import ExecResult
from claude_bottle.seam.event import Event
from claude_bottle.seam.levels import DlpAction, HostRule, Level
from claude_bottle.seam.proxy import Proxy
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import Address, File, SidecarSpec
from claude_bottle.seam.traits import Listen, Runs

__all__ = ["TOKEN", "Running", "Site", "find_program", "inspect_image", "make_plan", "rule"]

TOKEN = "ghp_" + "aB3dE6gH9k" * 3 + "123456"
"""Shaped like a GitHub token."""


def rule(host: str, level: Level = "block", raw: tuple[int, ...] = (), why: str = "test") -> HostRule:
    """Return a rule as a plan has it."""
    plain: DlpAction = "warn" if level == "warn" else "block"
    return HostRule(host=host, level=level, plain=plain, why=why, raw_ports=raw)


def make_plan(rules: Sequence[HostRule], action: DlpAction = "block", upstream: Upstream | None = None) -> Plan:
    """Return a plan of which nothing but the way out matters."""
    egress = EgressPlan(
        rules=tuple(rules),
        dlp_action=action,
        private_addresses=("127.0.0.0/8",),
        upstream=upstream or Upstream(),
    )
    return Plan(
        agent="Demo",
        bottle="dev",
        slug="demo",
        agent_plugin="shell",
        backend=Choice("folder", "test"),
        proxy=Choice("pipelock", "test"),
        egress=egress,
        argv=("true",),
        sections=(("pipelock", PipelockSection()),),
    )


def find_program(folder: Path) -> Path | None:
    """Return pipelock 2.3.0: from its image, where an engine has that, else the one on PATH; None without either."""
    program = _from_image(folder) or Path(shutil.which("pipelock") or "/nowhere")
    if not program.is_file():
        return None
    said = subprocess.run([program, "version"], check=False, capture_output=True, text=True, timeout=20)
    return program if "pipelock version 2.3.0" in said.stdout + said.stderr else None


def _from_image(folder: Path) -> Path | None:
    made = _docker("create", "--pull=never", IMAGE)
    if made is None:
        return None
    container = made.decode().strip()
    copied = _docker("cp", f"{container}:/pipelock", str(folder))
    _docker("rm", container)
    return None if copied is None else folder / "pipelock"


def inspect_image() -> Any:
    """Return what an engine knows of the image; None without either."""
    found = _docker("image", "inspect", IMAGE)
    return None if found is None else json.loads(found)[0]


def _docker(*argv: str) -> bytes | None:
    docker = shutil.which("docker")
    if docker is None:
        return None
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run([docker, *argv], check=False, capture_output=True, timeout=20)
        return done.stdout if done.returncode == 0 else None
    return None


class Sidecar:
    """A process, its folder, and what it wrote to stdout."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, program: Path) -> None:
        self.process = process
        self.folder = folder
        self.program = program
        self.said: list[bytes] = []

    def lines(self, timeout: float | None = None) -> Iterator[bytes]:
        """Yield lines as they come."""
        assert self.process.stdout
        rest, deadline = b"", None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                raise DeadlineError("no line")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return
            *whole, rest = (rest + data).split(b"\n")
            self.said += whole
            yield from whole

    @property
    def last_words(self) -> str:
        """Return the last line of stderr."""
        return (self.folder / "stderr").read_text().strip().rpartition("\n")[2]

    def exec(self, argv: Sequence[str], timeout: float) -> ExecResult:
        """Run the same program once more."""
        done = subprocess.run([self.program, *argv[1:]], check=False, capture_output=True, timeout=timeout)
        return ExecResult(done.returncode, done.stdout, done.stderr)

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code once it has ended."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def put(self, files: Sequence[File]) -> None:
        """Replace files, each at once."""
        write_files(self.folder, files)

    def get(self, name: str) -> Mapping[str, bytes]:
        """Return the files of a folder."""
        return {path.name: path.read_bytes() for path in (self.folder / name).iterdir()}

    def stop(self) -> None:
        """End it and wait."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)


def write_files(folder: Path, files: Sequence[File]) -> None:
    """Write files into a folder, each beside its place first."""
    for file in files:
        path = folder / f".{file.name}.new"
        path.touch(0o600)
        path.write_bytes(file.data)
        path.chmod(file.mode)
        path.rename(folder / file.name)


class Site:
    """A site without a bottle: the agent is the test."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder
        self.program = program
        self.sidecar: Sidecar | None = None
        self.spec: SidecarSpec | None = None
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self._port: int = taken.getsockname()[1]

    @property
    def runs(self) -> Runs:
        """Say what a backend with an engine says."""
        return "image"

    @property
    def root(self) -> str:
        """Return the folder."""
        return str(self.folder)

    @property
    def listen(self) -> Listen:
        """Return where it listens."""
        return Listen("tcp", "127.0.0.1", self._port)

    def run(self, spec: SidecarSpec) -> Sidecar:
        """Start the program with names of its own, and nothing of our environment."""
        self.spec = spec
        for name in spec.folders:
            (self.folder / name).mkdir(mode=0o700)
        write_files(self.folder, spec.files)
        hosts = self.folder / "hosts"
        hosts.write_text("".join(f"{address} {name}\n" for name, address in spec.hosts))
        command = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", hosts, "/etc/hosts", "--die-with-parent"]
        with (self.folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [*command, self.program, *spec.argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=dict(spec.env),
            )
        self.sidecar = Sidecar(process, self.folder, self.program)
        return self.sidecar

    def settle(self) -> None:
        """Nothing takes long here."""

    def witness(self) -> AbstractContextManager[Sequence[Address]]:
        """There is none here."""
        raise NotImplementedError

    def close(self) -> None:
        """End what runs, after whoever reads its lines."""
        if self.sidecar:
            self.sidecar.stop()
            assert self.sidecar.process.stdout
            self.sidecar.process.stdout.close()


class Running:
    """A proxy as the plugin starts it, and an agent's client for it."""

    def __init__(self, folder: Path, program: Path, plan: Plan) -> None:
        self.site = Site(folder, program)
        self.proxy: Proxy = Pipelock().start_proxy(plan, self.site, Secrets({}), None)
        ca = self.proxy.ready(20)
        assert ca is not None
        self.client = Client(self.site.listen.port, ca.decode())
        self._events: list[Event] = []
        self._seen = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for event in self.proxy.events():
            self._events.append(event)

    def stop(self) -> list[Event]:
        """End it, and return all its events in the order in which they came."""
        self.proxy.stop()
        self._reader.join(10)
        assert not self._reader.is_alive()
        self.site.close()
        return self._events

    def await_events(self, count: int = 1, timeout: float = 10) -> list[Event]:
        """Return what was reported since the last time, once it is this much."""
        deadline = time.monotonic() + timeout
        while len(self._events) < self._seen + count and time.monotonic() < deadline:
            time.sleep(0.02)
        found = self._events[self._seen :]
        self._seen += len(found)
        return found
