"""A backend of the first generation, with every hook of its kind."""

from collections.abc import Callable, Mapping, Sequence

from frozen_bottle import FrozenSite, running, start
from frozen_world import called, world
from msgspec import Struct

from claude_bottle.declare import backend
from claude_bottle.errors import Problem
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.owner import Launch
from claude_bottle.seam.part import Part
from claude_bottle.seam.probe import Finding, ProbeResult
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.traits import BackendTraits

__all__ = ["PLUGIN"]


class FrozenSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much it may take."""

    memory: int = 512
    words: tuple[str, ...] = ()


class FrozenCleanup:
    """The names of leftovers."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    def lines(self) -> Sequence[str]:
        """Return a line for each."""
        return [f"leftover {name}" for name in self.names]


class FrozenBackend:
    """Every hook of a backend."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Find too little memory, and a runtime."""
        where = f"bottles.{spec.bottle}"
        problems = [Problem("no runtime", where=f"{where}.runtime")] if spec.runtime else []
        if spec.section(FrozenSection).memory < 1:
            problems.append(Problem("too little", where=f"{where}.frozen.memory"))
        return problems

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[FrozenSection]:
        """Name what will be made."""
        section = spec.section(FrozenSection)
        lines = (("frozen", f"{section.memory} after {len(draft.parts)}"),)
        return Part(section=section, resources=(f"claude-bottle-{spec.slug}",), lines=lines)

    @hookimpl
    def probe(self) -> ProbeResult:
        """Find all well."""
        return ProbeResult(state="ready", findings=(Finding(what="frozen floor", ok=True),))

    @hookimpl
    def open_site(self, plan: Plan, launch: Launch, say: Callable[[str], None]) -> FrozenSite:
        """Make a folder."""
        called("open_site")
        say("the site is made")
        return FrozenSite(plan.slug, launch)

    @hookimpl
    def start_bottle(self, plan: Plan, site: FrozenSite, env: Mapping[str, str], secrets: Secrets) -> Bottle:
        """Let the bottle exist."""
        called(f"start_bottle {plan.section(FrozenSection).memory}")
        return start(site, {**env, **secrets})

    @hookimpl
    def provision_ca(self, bottle: Bottle, plan: Plan, ca: bytes) -> bool:
        """Leave it to a provisioner."""
        called("provision_ca")
        return not ca and bottle.slug != plan.slug

    @hookimpl
    def provision(self, bottle: Bottle, plan: Plan) -> None:
        """Take part."""
        called("provision backend")
        assert bottle.launch
        assert plan.backend.why == "manifest"

    @hookimpl
    def list_bottles(self) -> Sequence[Bottle]:
        """Return what runs."""
        return running()

    @hookimpl
    def plan_cleanup(self) -> FrozenCleanup:
        """Return what lies about."""
        return FrozenCleanup(sorted(path.name for path in world().glob("leftover-*")))

    @hookimpl
    def cleanup(self, plan: FrozenCleanup) -> None:
        """Remove it."""
        for name in plan.names:
            (world() / name).unlink(missing_ok=True)


PLUGIN = backend(
    FrozenBackend(),
    section=FrozenSection,
    traits=BackendTraits(runs="process", listen=frozenset({"tcp"}), unix=False, root=False),
    api=1,
)
