"""The hooks of the pipelock plugin. Importing it costs nothing: the proxy is a program of its own."""

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
from claude_bottle.seam.traits import BackendTraits, ProxyTraits

if TYPE_CHECKING:
    from claude_bottle.seam.proxy import Proxy
    from claude_bottle.seam.secrets import Secrets
    from claude_bottle.seam.sidecar import Site, Warm

__all__ = ["LACKS", "PLUGIN", "Pipelock"]

# ruff: noqa: PLC0415 - this module is imported to list and to plan; what runs a proxy is imported when one runs

LACKS = (
    "ports are not held: an allowed host is open at all of them",
    "one level holds for all opened hosts: a host that asks for another is not opened",
    "a refusal does not say what would allow it (bottle logs does)",
    "a credential in a URL is refused where warn is asked for, too",
    "in an opened tunnel WebSockets do not pass, and compressed bodies are refused",
    "in an opened tunnel an HTTP/1.1 connection serves one request",
    "the host's own upstream proxy is not chained",
    "no credential is injected: the agent sees those that it is given",
)


class Pipelock:
    """pipelock 2.3.0, beside the bottle: from its image, or where there are none from its program on PATH."""

    @hookimpl
    def probe(self) -> ProbeResult:
        """Need nothing of this machine: whether the image can be had is the backend's to say."""
        return ProbeResult(state="ready", findings=(Finding(what="pipelock", ok=True, detail="runs from its image"),))

    @hookimpl
    def probe_pair(self, partner: "BackendTraits | ProxyTraits") -> Sequence[Finding]:
        """Where it is a process of this machine, look for the program and its version."""
        from bottle_pipelock.program import examine

        return (examine(),) if isinstance(partner, BackendTraits) and partner.runs == "process" else ()

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Refuse what pipelock could not hold, and what would fail later."""
        from bottle_pipelock.problems import find_problems

        return tuple(find_problems(spec))

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[PipelockSection]:
        """Answer for every host with the nearest level that pipelock has."""
        from bottle_pipelock.levels import answer

        section, rules = spec.section(PipelockSection), answer(draft.wanted, spec.egress.dlp_action)
        process = spec.backend_traits is not None and spec.backend_traits.runs == "process"
        lines = () if process else (("proxy image", section.image),)
        return Part(section=section, rules=rules, lines=lines)

    @hookimpl
    def start_proxy(self, plan: Plan, site: "Site", secrets: "Secrets", warm: "Warm | None") -> "Proxy":
        """Describe the sidecar to the site; nothing is waited for."""
        from bottle_pipelock.start import start

        del secrets, warm
        return start(plan, site)


PLUGIN = proxy(
    Pipelock(),
    section=PipelockSection,
    traits=ProxyTraits(runs=frozenset({"image", "process"}), listen=frozenset({"tcp"}), lacks=LACKS),
)
