"""The stage's backend plugin: folders, processes and listeners of this machine, and no walls at all."""

import os
from collections.abc import Callable, Mapping, Sequence

from stage_bottle import StageBottle, StageSite, running
from stage_world import kept, note, step

from claude_bottle.declare import NoSection, backend
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


class StageCleanup:
    """The names of leftovers."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    def lines(self) -> Sequence[str]:
        """Return a line for each."""
        return [f"leftover {name}" for name in self.names]


class StageBackend:
    """Every hook of a backend but the CA's."""

    @hookimpl
    def probe(self) -> ProbeResult:
        """Return the state that the environment asks for."""
        match os.environ.get("STAGE_PROBE", "ready"):
            case "broken":
                return ProbeResult(
                    state="broken",
                    findings=(Finding(what="stage floor", ok=False, detail="has a hole", cure="mend it"),),
                )
            case "mute":
                return ProbeResult(state="broken")
            case "absent":
                return ProbeResult(state="absent")
            case _:
                return ProbeResult(state="ready", findings=(Finding(what="stage floor", ok=True),))

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[NoSection]:
        """Name what will be made."""
        del draft
        return Part(section=spec.section(NoSection), resources=(f"claude-bottle-{spec.slug}",))

    @hookimpl
    def open_site(self, plan: Plan, launch: Launch, say: Callable[[str], None]) -> StageSite:
        """Make a folder."""
        del say
        step("open_site")
        return StageSite(plan.slug, launch)

    @hookimpl
    def start_bottle(self, plan: Plan, site: StageSite, env: Mapping[str, str], secrets: Secrets) -> Bottle:
        """Let the bottle exist."""
        del plan
        step("start_bottle")
        bottle = StageBottle(site.name, site.slug, site.label, {**env, **secrets}, site.listen)
        site.bottles.append(bottle)
        bottle.begin()
        step("start_bottle late")
        return bottle

    @hookimpl
    def list_bottles(self) -> Sequence[Bottle]:
        """Return what runs."""
        step("list_bottles")
        return running()

    @hookimpl
    def plan_cleanup(self) -> StageCleanup:
        """Return what lies about that no live bottle has."""
        return StageCleanup(sorted(path.name for path in kept().glob("leftover-*")))

    @hookimpl
    def cleanup(self, plan: StageCleanup) -> None:
        """Remove it."""
        step("cleanup")
        for name in plan.names:
            (kept() / name).unlink()
            note(f"removed {name}")


PLUGIN = backend(StageBackend(), section=NoSection, traits=BackendTraits(runs="process"))
