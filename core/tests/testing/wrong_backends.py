"""Backends that are wrong on purpose, each in ways that a contract must notice."""

import os
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

from msgspec.structs import replace

from claude_bottle import declare
from claude_bottle.declare import NoSection
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle, Dial, ExecResult, Service, Sightings
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import File, SidecarSpec
from claude_bottle.seam.traits import BackendTraits
from claude_bottle.seam.tree import Entry
from claude_bottle.testing.bottle import LocalBottle
from claude_bottle.testing.local import LocalBackend, LocalSite
from claude_bottle.testing.process import LocalSidecar
from claude_bottle.testing.record import LocalLeftovers, Record, records

__all__ = ["CARELESS", "IDLE", "MACHINE", "WALL"]


class Wall(LocalBackend):
    """Says that it confines, and runs everything on this machine; leaves a file when it fails, and shows secrets."""

    @hookimpl
    def start_bottle(self, plan: Plan, site: LocalSite, env: Mapping[str, str], secrets: Secrets) -> Bottle:
        """Leave a file behind."""
        secret = secrets["FORWARDED"]
        left = Path(os.environ["XDG_RUNTIME_DIR"], "left")
        left.write_text(secret)
        bottle = super().start_bottle(plan=plan, site=site, env={**os.environ, **env}, secrets=secrets)
        bottle.exec(f"sh -c 'sleep 90; :' {secret} &")
        left.unlink()
        (site.record.folder / "note").write_text(secret)
        return bottle


WALL = declare.backend(Wall(), section=NoSection, traits=BackendTraits(runs="process"))

MACHINE = declare.backend(Wall(), section=NoSection, traits=BackendTraits(runs="process", kernel="own"))


class IdleBottle(LocalBottle):
    """Says yes to whatever it is asked, does nothing, and never ends."""

    def __init__(self, record: Record, env: Mapping[str, str] | None = None) -> None:
        super().__init__(record, env)
        self.slug = "idle"

    @property
    def state(self) -> Literal["running", "stopped"]:
        """Say that it runs."""
        return "running"

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
        """Run nothing, with success and one answer to everything."""
        return ExecResult(0, b"Z=Z\n")

    def attach(self, argv: Sequence[str], *, root: bool = False, env: Mapping[str, str] | None = None) -> int:
        """Run nothing, with success."""
        return 0

    def put(self, entries: Iterable[Entry], dest: str) -> None:
        """Write nothing."""

    def get(self, path: str) -> Iterator[Entry]:
        """Find nothing."""
        return iter(())

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """See nothing."""
        return Sightings()

    def serve_socket(self, path: str, service: Service) -> None:
        """Serve nothing, and forget the service."""


class IdleSite(LocalSite):
    """A site of such bottles."""

    bottle = IdleBottle


class Idle(LocalBackend):
    """Its bottles do nothing, and all of them are leftovers to it."""

    site = IdleSite

    @hookimpl
    def provision_ca(self, bottle: Bottle, plan: Plan, ca: bytes) -> bool:
        """Say that it is done."""
        del bottle, plan, ca
        return True

    @hookimpl
    def plan_cleanup(self) -> LocalLeftovers:
        """Take the living for dead."""
        return LocalLeftovers(tuple(records()))


IDLE = declare.backend(Idle(), section=NoSection, traits=BackendTraits(runs="process", unix=True, bind=True))


class CarelessBottle(LocalBottle):
    """Puts scripts into arguments, and takes what comes after a command from our stdin."""

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
        """Run it as `sh -c` does."""
        command = argv or ("/bin/sh", "-c", script)
        return super().exec("", argv=command, stdin=stdin, root=root, env=env, timeout=timeout)

    def attach(self, argv: Sequence[str], *, root: bool = False, env: Mapping[str, str] | None = None) -> int:
        """Hand on what comes in for as long as anything comes."""
        with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
            threading.Thread(target=os.read, args=(0, 1 << 16), daemon=True).start()
            return process.wait()


class CarelessSidecar(LocalSidecar):
    """Forgets what it is told and what it has said."""

    def __init__(self, spec: SidecarSpec, root: Path) -> None:
        super().__init__(replace(spec, stdin=b""), root)

    def put(self, files: Sequence[File]) -> None:
        """Write it at the start alone."""
        if not hasattr(self, "_process"):
            super().put(files)

    def get(self, name: str) -> Mapping[str, bytes]:
        """Find nothing."""
        del name
        return {}

    def stop(self) -> None:
        """End it, and forget what it said."""
        super().stop()
        (self._root / "stdout").write_bytes(b"")


class CarelessSite(LocalSite):
    """Leaves its folder where it is."""

    bottle, sidecar = CarelessBottle, CarelessSidecar

    def close(self) -> None:
        """Sweep, and make a mess of it."""
        super().close()
        self.record.folder.mkdir(exist_ok=True)
        self.record.write()


class Careless(LocalBackend):
    """Its parts work, and each of them forgets something."""

    site = CarelessSite


CARELESS = declare.backend(Careless(), section=NoSection, traits=BackendTraits(runs="process", unix=True))
