"""A user of `bottle` in a test: a home of their own, real processes, a real terminal."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from textwrap import dedent

import msgspec
from msgspec.structs import replace

from claude_bottle.plugins.record import Record as PluginRecord
from claude_bottle.plugins.trust import Locked, fingerprint, normalise, open_lock
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.testing.record import Record

__all__ = [
    "ASK",
    "MANIFEST",
    "STAGE",
    "Terminal",
    "User",
    "process_lives",
    "trust",
    "wait_until",
    "write_backend",
    "write_distribution",
]

STAGE = Path(__file__).parent / "launch" / "stage"
"""A folder for the path, with the distribution `stage-plugins`."""

PROGRAM = (sys.executable, "-W", "error", "-c", "from claude_bottle.cli.main import main; main()")

ASK = """
import os, socket, sys
from urllib.parse import urlsplit
proxy = urlsplit(os.environ["HTTP_PROXY"])
for host in sys.argv[1:]:
    with socket.create_connection((proxy.hostname, proxy.port)) as peer:
        peer.sendall(f"CONNECT {host}:443 HTTP/1.1\\r\\n\\r\\n".encode())
        peer.recv(100)
"""
"""What asks its bottle's proxy for hosts, as an agent would."""

MANIFEST = """\
version: 1
bottles:
  dev:
    backend: stage
    proxy: stageway
    egress:
      allowlist: [api.example.com]
    env:
      LOG_LEVEL: debug
    stageprops:
agents:
  reviewer:
    bottle: dev
    agent: stagehand
    prompt: You review changes.
"""


class User:
    """Somebody with a home, a configuration that trusts the stage and no engine of here, a folder with a manifest."""

    def __init__(self, home: Path, run: Path) -> None:
        self.home, self.run_dir = home, run
        self.project = home / "project"
        self.config = home / "config" / "claude-bottle"
        self.state = home / "state" / "claude-bottle"
        self.runtime = run / "claude-bottle"
        self.world = home / "world"
        for folder in (self.project, self.config, self.world):
            folder.mkdir(parents=True)
        (self.config / "config.yaml").write_text("block: [docker]\n")
        trust(self.config, STAGE)
        self.manifest(MANIFEST)
        self.path = [STAGE]
        self.environ: dict[str, str] = {}
        self._begun: list[subprocess.Popen[str]] = []

    def manifest(self, text: str) -> Path:
        """Write the project's manifest."""
        file = self.project / "bottle.yaml"
        file.write_text(dedent(text))
        return file

    def environment(self) -> dict[str, str]:
        """Return the whole environment of this user's commands."""
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "PYTHONPATH": os.pathsep.join(map(str, self.path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_RUNTIME_DIR": str(self.run_dir),
            "STAGE_WORLD": str(self.world),
            **self.environ,
        }

    def run(
        self, *words: str, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command without a terminal, and return what it left."""
        return subprocess.run(
            [*PROGRAM, *words],
            input=stdin,
            cwd=self.project,
            env=self.environment() | dict(env or {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def begin(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command without a terminal, in a process group of its own."""
        process = subprocess.Popen(
            [*PROGRAM, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.project,
            env=self.environment() | dict(env or {}),
            text=True,
            process_group=0,
        )
        self._begun.append(process)
        return process

    def close(self) -> None:
        """End whatever is left of this user's commands."""
        for process in self._begun:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if process.stdout is not None and not process.stdout.closed:
                process.communicate()
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def pids(self) -> list[int]:
        """Return the processes that the stage has started beside a bottle, those that ended too."""
        return [int(line.split()[1]) for line in self.journal if re.fullmatch(r"(sidecar|warm) \d+", line)]

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run Python in this user's place."""
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=self.project,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def journal(self) -> list[str]:
        """Return what the stage did so far."""
        file = self.world / "journal"
        return file.read_text().splitlines() if file.exists() else []

    def leave(self, name: str) -> Path:
        """Leave on the stage what a launch that was killed leaves; return its folder."""
        folder = self.runtime / "local" / name
        folder.mkdir(parents=True)
        dead = Launch(label="0123abcd", owner=replace(Owner.current(), start=1))
        (folder / "launch.json").write_bytes(msgspec.json.encode(Record(name=name, slug=name, launch=dead)))
        return folder

    def left(self) -> list[str]:
        """Return what still exists: on the stage, among the launches' records, among the processes."""
        kept = [path.name for path in (self.runtime / "local").glob("*")]
        records = [path.name for path in (self.runtime / "launches").glob("*")]
        return sorted([*kept, *records, *(f"process {pid}" for pid in self.pids() if process_lives(pid))])


class Terminal:
    """A command on a terminal of its own, as its session's leader."""

    def __init__(self, user: User, words: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*PROGRAM, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=user.project,
            env=user.environment() | dict(env or {}),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - the tests have no threads
        )
        os.close(slave)
        self.seen = ""

    def read(self, seconds: float = 0.1) -> bool:
        """Take what the terminal shows; False once nobody holds its other end."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def wait_for(self, text: str, seconds: float = 20) -> None:
        """Read until a text is there."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} did not come: {self.seen!r}"
            if not self.read() and text not in self.seen:
                raise AssertionError(f"{text!r} did not come before the end: {self.seen!r}")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def finish(self, seconds: float = 20) -> int:
        """Read to the end, and return the exit code."""
        end = time.monotonic() + seconds
        while self.read() and time.monotonic() < end:
            pass
        return self.process.wait(timeout=max(0.1, end - time.monotonic()))

    def close(self) -> None:
        """End whatever is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._master)


def process_lives(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def wait_until(what: str, holds: Callable[[], bool], seconds: float = 20) -> None:
    """Look again and again until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what} did not come about"
        time.sleep(0.02)


def trust(config: Path, folder: Path) -> None:
    """Note the one distribution of a folder in a user's `plugins.lock`, as it stands."""
    [found] = metadata.distributions(path=[str(folder)])
    seen = Locked(version=found.version, sha256=fingerprint(found))
    name = normalise(found.metadata["Name"])
    open_lock(config).change(lambda lock: replace(lock, distributions={**lock.distributions, name: seen}))


def write_distribution(
    folder: Path,
    name: str,
    *,
    points: Mapping[str, Mapping[str, str]] | str = "",
    modules: Mapping[str, str] | None = None,
    metadata: str | bytes | None = None,
    requires: Sequence[str] = (),
    version: str = "1.0",
) -> Path:
    """Lay out an installed distribution in a folder for the path, and return the folder.

    `points` are entry points by group, or the very text of their file; `modules` are sources by file name.
    """
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    if metadata is None:
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        metadata = "\n".join([*lines, *(f"Requires-Dist: {it}" for it in requires), ""])
    (info / "METADATA").write_bytes(metadata.encode() if isinstance(metadata, str) else metadata)
    if not isinstance(points, str):
        sections = (f"[{group}]\n" + "".join(f"{a} = {b}\n" for a, b in rows.items()) for group, rows in points.items())
        points = "\n".join(sections)
    (info / "entry_points.txt").write_text(points)
    for file, source in (modules or {}).items():
        (folder / file).write_text(dedent(source))
    return folder


def write_backend(folder: Path, name: str, source: str) -> PluginRecord:
    """Write a backend's module into a folder of the path, and return its row."""
    (folder / f"backend_{name}.py").write_text(source)
    return PluginRecord(
        name=name,
        kind="backend",
        distribution=f"bottle-{name}",
        version="1.0",
        target=f"backend_{name}:PLUGIN",
        origin="wheel",
        location=str(folder),
    )
