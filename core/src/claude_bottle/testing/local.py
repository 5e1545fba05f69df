"""A backend that confines nothing: a bottle is a folder and the processes of this machine that run in it.

It is for contracts of what is no backend, and to be read by whoever writes one. `start` refuses it.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

from claude_bottle.declare import NoSection, backend
from claude_bottle.errors import BottleError, DeadlineError, NotFoundError, UnavailableError
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.bottle import Bottle, Dial, ExecResult, Service, Sightings
from claude_bottle.seam.environ import proxy_environment
from claude_bottle.seam.folders import private_dir, runtime_dir
from claude_bottle.seam.listening import Listening, listen_at
from claude_bottle.seam.owner import Launch
from claude_bottle.seam.part import Part
from claude_bottle.seam.probe import ProbeResult
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import Address, SidecarSpec
from claude_bottle.seam.traits import BackendTraits, Listen, Runs
from claude_bottle.seam.tree import Entry, checked_path, read_tree, write_tree
from claude_bottle.seam.witness import open_witness, own_addresses
from claude_bottle.testing.process import LocalSidecar

__all__ = ["PLUGIN", "TARGET", "LocalBackend"]

TARGET = f"{__name__}:PLUGIN"


class LocalBottle:
    """A folder; commands run in it with the plan's environment and nothing else."""

    def __init__(self, site: "LocalSite", env: Mapping[str, str]) -> None:
        self.name, self.slug, self.launch = site.name, site.slug, site.label
        self.folder = site.folder / "workspace"
        self.folder.mkdir()
        own = {"PATH": os.defpath, "HOME": str(self.folder), "TMPDIR": str(self.folder), "USER": "agent"}
        self._env = {**own, **proxy_environment(site.listen.host, site.listen.port), **env}
        self._site = site
        self._served: list[Listening] = []

    @property
    def state(self) -> Literal["running", "stopped"]:
        """Whether the folder is there."""
        return "running" if self.folder.exists() else "stopped"

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
        """Run a script, as a file since its commands may read stdin, or a command."""
        if root:
            raise UnavailableError("there is no root in this bottle")
        if script and argv:
            raise ValueError("a script or a command: one of them")
        file = self.folder / ".script"
        file.write_text(script, encoding="utf-8", errors="surrogateescape")
        data = stdin if isinstance(stdin, bytes) or stdin is None else stdin.read()
        process = subprocess.Popen(
            [*(argv or ("/bin/sh", str(file)))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env={**self._env, **(env or {})},
            start_new_session=True,
        )
        try:
            out, err = process.communicate(data or b"", timeout)
        except subprocess.TimeoutExpired as error:
            raise DeadlineError(f"the command did not end within {timeout:g} seconds") from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return ExecResult(process.returncode, out, err)

    def attach(self, argv: Sequence[str], *, root: bool = False, env: Mapping[str, str] | None = None) -> int:
        """Run a command on our own streams."""
        return subprocess.run(argv, cwd=self.folder, env={**self._env, **(env or {})}, check=False).returncode

    def put(self, entries: Iterable[Entry], dest: str) -> None:
        """Write a tree, inside the folder alone."""
        write_tree(entries, self._inside(dest))

    def get(self, path: str) -> Iterator[Entry]:
        """Read a tree."""
        if not os.path.lexists(self._inside(path)):
            raise NotFoundError(f"there is nothing at {path}")
        yield from read_tree(self._inside(path))

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """Dial from this machine, which sees everything."""
        return Sightings(tuple(dial_once(it) for it in dials), tuple(True for _ in names))

    def serve_socket(self, path: str, service: Service) -> None:
        """Listen in the folder."""
        self._served.append(listen_at(self._inside(path), service))

    def stop(self) -> None:
        """Remove the folder."""
        for served in self._served:
            served.close()
        remove(self.folder)

    def _inside(self, path: str) -> Path:
        """Return a path of the folder; a bottle's own /home/agent and /workspace are it."""
        checked_path(path)
        for prefix in ("/home/agent", "/workspace"):
            if Path(path).is_relative_to(prefix):
                return self.folder / Path(path).relative_to(prefix)
        if not Path(path).is_relative_to(self.folder):
            raise BottleError(f"{path} is not in this bottle")
        return Path(path)


def dial_once(dial: Dial) -> bytes | None:
    """Connect, say it, and return the first bytes of the answer."""
    with suppress(OSError), socket.create_connection((dial.host, dial.port), timeout=2) as peer:
        peer.sendall(dial.send)
        return peer.recv(4096)
    return None


class LocalSite:
    """A folder and a port."""

    runs: Runs = "process"

    def __init__(self, slug: str, launch: Launch) -> None:
        self.slug, self.label = slug, launch.label
        self.name = f"claude-bottle-{slug}"
        self.folder = private_dir(runtime_dir()) / f"local-{launch.label}"
        self.folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.listen = Listen("tcp", "127.0.0.1", probe.getsockname()[1])
        self.sidecars: list[LocalSidecar] = []
        self.bottles: list[LocalBottle] = []

    @property
    def root(self) -> str:
        """The folder of sidecars."""
        return str(self.folder / "sidecar")

    def run(self, spec: SidecarSpec) -> LocalSidecar:
        """Start a process."""
        Path(self.root).mkdir()
        self.sidecars.append(LocalSidecar(spec, Path(self.root)))
        return self.sidecars[-1]

    def settle(self) -> None:
        """Nothing takes long here."""

    @contextmanager
    def witness(self) -> Generator[Sequence[Address]]:
        """Listen on this machine."""
        with open_witness(own_addresses()) as witnesses:
            yield witnesses

    def close(self) -> None:
        """Sweep everything."""
        for bottle in self.bottles:
            bottle.stop()
        for sidecar in self.sidecars:
            sidecar.stop()
        remove(self.folder)


def remove(folder: Path) -> None:
    """Remove a folder with all below it, also what a command made read-only; one that is not there is none."""
    for place, names, _ in os.walk(folder):
        for below in (Path(place, name) for name in names):
            if not below.is_symlink():
                below.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


class LocalLeftovers:
    """Nothing is looked for: a test's folders end with the test."""

    def lines(self) -> Sequence[str]:
        """Return nothing."""
        return ()


class LocalBackend:
    """Every hook that a backend must have."""

    @hookimpl
    def probe(self) -> ProbeResult:
        """Need nothing."""
        return ProbeResult(state="ready")

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[NoSection]:
        """Name what will be made."""
        del draft
        return Part(section=spec.section(NoSection), resources=(f"claude-bottle-{spec.slug}",))

    @hookimpl
    def open_site(self, plan: Plan, launch: Launch, say: Callable[[str], None]) -> LocalSite:
        """Make a folder."""
        return LocalSite(plan.slug, launch)

    @hookimpl
    def start_bottle(self, plan: Plan, site: LocalSite, env: Mapping[str, str], secrets: Secrets) -> Bottle:
        """Make its folder."""
        del plan
        site.bottles.append(LocalBottle(site, {**env, **secrets}))
        return site.bottles[-1]

    @hookimpl
    def list_bottles(self) -> Sequence[Bottle]:
        """Know of none but its own launcher's."""
        return ()

    @hookimpl
    def plan_cleanup(self) -> LocalLeftovers:
        """Return nothing."""
        return LocalLeftovers()

    @hookimpl
    def cleanup(self, plan: LocalLeftovers) -> None:
        """Have nothing to do."""


PLUGIN = backend(LocalBackend(), section=NoSection, traits=BackendTraits(runs="process", unix=True, confines=False))
