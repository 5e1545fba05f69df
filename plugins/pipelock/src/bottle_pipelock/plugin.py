"""The hooks of the pipelock plugin. Importing it costs nothing: what starts a sidecar is imported when one starts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bottle_pipelock.section import PipelockSection
from claude_bottle.declare import proxy
from claude_bottle.errors import Problem
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.part import Part
from claude_bottle.seam.probe import Finding, ProbeResult
from claude_bottle.seam.traits import ProxyTraits

if TYPE_CHECKING:
    from claude_bottle.seam.proxy import Proxy
    from claude_bottle.seam.secrets import Secrets
    from claude_bottle.seam.sidecar import Site, Warm

__all__ = ["PLUGIN", "Pipelock"]

# ruff: noqa: PLC0415 - this module is imported to list and to plan; what runs a proxy is imported when one runs

LACKS = (
    "a host is open at every port",
    "all hosts that are opened have one level",
    "a refusal does not say what would allow it: bottle logs does",
    "WebSockets, gzip bodies and HTTP/1.1 keep-alive do not pass where TLS is opened: opaque does",
)


class Pipelock:
    """pipelock, as a container beside the bottle."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Refuse what would fail later, and what it would hold less than was asked."""
        from bottle_pipelock.problems import find_problems

        return tuple(find_problems(spec))

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[PipelockSection]:
        """Answer for every host with what pipelock will really do."""
        from bottle_pipelock.levels import what_holds

        section = spec.section(PipelockSection)
        return Part(
            section=section,
            rules=what_holds(draft.wanted, spec.egress.dlp_action),
            lines=(("proxy image", section.image),),
        )

    @hookimpl
    def probe(self) -> ProbeResult:
        """Nothing of this machine is needed: the image is the backend's to find or fetch."""
        return ProbeResult(state="ready", findings=(Finding(what="pipelock runs from its image", ok=True),))

    @hookimpl
    def start_proxy(self, plan: Plan, site: "Site", secrets: "Secrets", warm: "Warm | None") -> "Proxy":
        """Make the keys, and describe the sidecar to the site; nothing is waited for."""
        from bottle_pipelock.start import start

        del secrets, warm
        return start(plan, site)


PLUGIN = proxy(Pipelock(), section=PipelockSection, traits=ProxyTraits(runs=frozenset({"image"}), lacks=LACKS))
