"""A backend that confines nothing: a bottle is a folder and the processes of this machine that run in it.

It is for contracts of what is no backend, and to be read by whoever writes one. `start` refuses it.
"""

import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import msgspec

from claude_bottle.declare import NoSection, backend
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.environ import proxy_environment
from claude_bottle.seam.owner import Launch
from claude_bottle.seam.part import Part
from claude_bottle.seam.probe import ProbeResult
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import Address, SidecarSpec
from claude_bottle.seam.traits import BackendTraits, Listen, Runs
from claude_bottle.seam.witness import open_witness, own_addresses
from claude_bottle.testing.bottle import LocalBottle
from claude_bottle.testing.process import LocalSidecar
from claude_bottle.testing.record import LocalLeftovers, claim, records

__all__ = ["PLUGIN", "TARGET", "LocalBackend", "LocalSite"]

TARGET = f"{__name__}:PLUGIN"


class LocalSite:
    """A folder and a port."""

    runs: Runs = "process"
    bottle: ClassVar[type[LocalBottle]] = LocalBottle
    sidecar: ClassVar[type[LocalSidecar]] = LocalSidecar

    def __init__(self, slug: str, launch: Launch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.listen = Listen("tcp", "127.0.0.1", probe.getsockname()[1])
        self.sidecars: list[LocalSidecar] = []
        self.bottles: list[LocalBottle] = []
        self.record = claim(slug, launch)

    @property
    def root(self) -> str:
        """The folder of sidecars."""
        return str(self.record.folder / "sidecar")

    def run(self, spec: SidecarSpec) -> LocalSidecar:
        """Start a process."""
        Path(self.root).mkdir()
        spec = msgspec.structs.replace(spec, env={**spec.env, **self.record.mark("sidecar")})
        self.sidecars.append(self.sidecar(spec, Path(self.root)))
        return self.sidecars[-1]

    def settle(self) -> None:
        """Nothing takes long here."""

    @contextmanager
    def witness(self) -> Generator[Sequence[Address]]:
        """Listen on this machine."""
        with open_witness(own_addresses()) as witnesses:
            yield witnesses

    def start(self, env: Mapping[str, str]) -> LocalBottle:
        """Start the bottle; it is the site's before it is there, so that whatever there is of it goes with the site."""
        bottle = self.bottle(self.record, {**proxy_environment(self.listen.host, self.listen.port), **env})
        self.bottles.append(bottle)
        bottle.begin()
        return bottle

    def close(self) -> None:
        """Sweep everything."""
        for bottle in self.bottles:
            bottle.end()
        for sidecar in self.sidecars:
            sidecar.stop()
        self.record.sweep()


class LocalBackend:
    """Every hook that a backend must have."""

    site: ClassVar[type[LocalSite]] = LocalSite

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
        return self.site(plan.slug, launch)

    @hookimpl
    def start_bottle(self, plan: Plan, site: LocalSite, env: Mapping[str, str], secrets: Secrets) -> Bottle:
        """Make its folder."""
        del plan
        return site.start({**env, **secrets})

    @hookimpl
    def list_bottles(self) -> Sequence[Bottle]:
        """Return a handle for each bottle of this user, whoever started it."""
        return [self.site.bottle(it) for it in records() if it.runs() and it.launch.owner.alive()]

    @hookimpl
    def plan_cleanup(self) -> LocalLeftovers:
        """Return what crashed launches left; what another machine's left is none of ours."""
        return LocalLeftovers(tuple(it for it in records() if it.launch.owner.alive() is False))

    @hookimpl
    def cleanup(self, plan: LocalLeftovers) -> None:
        """Remove it, as far as it is still dead."""
        for record in plan.found:
            if record.launch.owner.alive() is False:
                record.sweep()


PLUGIN = backend(LocalBackend(), section=NoSection, traits=BackendTraits(runs="process", unix=True, confines=False))
