"""The stage's backend plugin: folders, processes and listeners of this machine, and no walls at all."""

import os
from collections.abc import Callable, Mapping, Sequence

from stage_bottle import StageSite
from stage_world import step

from claude_bottle.declare import NoSection, backend
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.owner import Launch
from claude_bottle.seam.probe import Finding, ProbeResult
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.traits import BackendTraits
from claude_bottle.testing.local import LocalBackend, LocalSite
from claude_bottle.testing.record import LocalLeftovers

__all__ = ["PLUGIN"]


class StageBackend(LocalBackend):
    """The kit's own, step by step."""

    site = StageSite

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
    def open_site(self, plan: Plan, launch: Launch, say: Callable[[str], None]) -> LocalSite:
        """Claim a name."""
        step("open_site")
        return super().open_site(plan, launch, say)

    @hookimpl
    def start_bottle(self, plan: Plan, site: LocalSite, env: Mapping[str, str], secrets: Secrets) -> Bottle:
        """Let the bottle run."""
        step("start_bottle")
        bottle = super().start_bottle(plan, site, env, secrets)
        step("start_bottle late")
        return bottle

    @hookimpl
    def list_bottles(self) -> Sequence[Bottle]:
        """Return what runs."""
        step("list_bottles")
        return super().list_bottles()

    @hookimpl
    def cleanup(self, plan: LocalLeftovers) -> None:
        """Remove it."""
        step("cleanup")
        super().cleanup(plan)


PLUGIN = backend(StageBackend(), section=NoSection, traits=BackendTraits(runs="process"))
