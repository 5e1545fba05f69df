"""The backend `docker`: bottles as containers of a Docker engine."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from bottle_docker.section import DockerSection, bytes_of, section_problems
from claude_bottle.declare import backend
from claude_bottle.errors import Problem, ProblemsError
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft, check_memory
from claude_bottle.seam.part import Part
from claude_bottle.seam.probe import ProbeResult
from claude_bottle.seam.traits import BackendTraits

if TYPE_CHECKING:
    from bottle_docker.address import Address
    from bottle_docker.engine import Engine
    from bottle_docker.leftover import Leftovers
    from bottle_docker.site import DockerSite
    from claude_bottle.seam.bottle import Bottle
    from claude_bottle.seam.owner import Launch
    from claude_bottle.seam.secrets import Secrets

__all__ = ["PLUGIN", "DockerBackend"]

# ruff: noqa: PLC0415 - this module is imported to list and to plan; what runs a bottle is imported when one runs


class DockerBackend:
    """The hooks; what each promises is in `claude_bottle.hookspecs`."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Return what cannot be asked for: sizes that are none, a runtime that the engine does not have."""
        where = f"bottles.{spec.bottle}"
        problems = [
            Problem(text, where=f"{where}.docker.{key}") for key, text in section_problems(spec.section(DockerSection))
        ]
        if spec.runtime is not None and not spec.dry:
            from bottle_docker.probe import known_runtimes

            known = known_runtimes()  # None: no engine answers, which is said elsewhere
            if known is not None and spec.runtime not in known:
                hint = f"install it and name it in the engine's daemon.json; it has: {', '.join(known)}"
                problems.append(Problem(f"the engine has no runtime {spec.runtime}", hint, f"{where}.runtime"))
        return problems

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[DockerSection]:
        """Return the section, the names that will be claimed, and which image and limits hold."""
        from bottle_docker.image import agent_recipe, host_user
        from bottle_docker.images import tag_of
        from bottle_docker.labels import AGENT

        section, slug = spec.section(DockerSection), spec.slug
        check_memory(bytes_of(section.memory), spec, draft, "docker")
        agent = draft.part(spec.agent_plugin)
        bound = os.getuid() != 0 and any(part.mounts for _, part in draft.parts)  # core refuses root's
        if bound:
            check_bind()
        install, programs = (agent.install, agent.programs) if agent else ((), ())
        image = section.image or tag_of(agent_recipe(install, programs, host_user() if bound else AGENT))
        limits = f"memory {section.memory}, {section.cpus:g} cpus, {section.processes} processes, /tmp {section.tmp}"
        beside = ", ".join(f"claude-bottle-{kind}-{slug}" for kind in ("internal", "egress", spec.proxy.name))
        return Part(
            section=section,
            resources=(f"claude-bottle-{slug}",),
            lines=(("image", image), ("limits", limits), ("beside it", beside)),
        )

    @hookimpl
    def probe(self) -> ProbeResult:
        """Ask the engine what it is."""
        from bottle_docker.probe import probe

        return probe()

    @hookimpl
    def open_site(self, plan: Plan, launch: "Launch", say: Callable[[str], None]) -> "DockerSite":
        """Begin to make networks, image and container, side by side."""
        from bottle_docker.site import DockerSite

        return DockerSite(open_engine(), plan, launch, say)

    @hookimpl
    def start_bottle(self, plan: Plan, site: "DockerSite", env: Mapping[str, str], secrets: "Secrets") -> "Bottle":
        """Start the agent's container; the environment goes to its first process, and into no record."""
        del plan
        return site.start({**env, **secrets})

    @hookimpl
    def provision_ca(self, bottle: "Bottle", plan: Plan, ca: bytes) -> bool:
        """Write the bundle into the container's volume."""
        from bottle_docker.bottle import DockerBottle

        del plan
        return isinstance(bottle, DockerBottle) and bottle.trust_ca(ca)

    @hookimpl
    def list_bottles(self) -> "Sequence[Bottle]":
        """Return the bottles of this user, by their labels; none where no engine is."""
        if not engine_is_ours():
            return ()
        from bottle_docker.leftover import find_bottles

        return find_bottles(open_engine())

    @hookimpl
    def plan_cleanup(self) -> "Leftovers":
        """Return what dead launches left on the engine."""
        from bottle_docker.leftover import Leftovers, find_leftovers

        return find_leftovers(open_engine()) if engine_is_ours() else Leftovers()

    @hookimpl
    def cleanup(self, plan: "Leftovers") -> None:
        """Remove it."""
        from bottle_docker.leftover import remove_leftovers

        remove_leftovers(open_engine(), plan)


def check_bind() -> None:
    """ProblemsError if an engine answers from which this machine's folders are not seen, or not as this user."""
    from bottle_docker.probe import bind_fault

    if fault := bind_fault():
        cure = "use an engine of this machine that keeps uids, --backend bwrap, or workspace: {mode: copy}"
        raise ProblemsError([Problem(f"docker cannot bind a folder of this machine: {fault}", cure)])


def engine_is_ours() -> bool:
    """Say whether this user may have put anything on an engine: somebody named one, or its socket lets them in."""
    from bottle_docker.address import find_address

    address = find_address()
    if address is None:
        return False
    path = address.socket
    return path is None or path != address.source or os.access(path, os.W_OK)


def open_engine() -> "Engine":
    """Return the engine; UnavailableError where there is none, or none that answers."""
    from bottle_docker.probe import found_address

    return _connect(found_address(), os.getpid())


@cache
def _connect(address: "Address", process: int) -> "Engine":
    """Return the one engine of an address in a process: its connections are kept open for the next call."""
    import atexit

    from bottle_docker.engine import Engine

    del process  # a fork must not share them
    engine = Engine(address)
    atexit.register(engine.close)
    return engine


PLUGIN = backend(
    DockerBackend(),
    section=DockerSection,
    traits=BackendTraits(
        runs="image",
        unix=True,
        bind=True,
        root=True,
        host_cure="the engine does not hold the network option com.docker.network.bridge.inhibit_ipv4 (from Docker 28 "
        "on gateway_mode_ipv4=isolated), by which a network has no address of its host: use another version of it",
        name_cure="the engine's resolver asks others for an internal network (CVE-2024-29018): use Docker 23.0.11, "
        "25.0.5, 26.0 or newer, or no resolver on the host's loopback (`dns` in daemon.json, /etc/resolv.conf)",
    ),
)
