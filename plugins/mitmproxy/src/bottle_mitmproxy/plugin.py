"""The hooks of the mitmproxy plugin. Importing it costs nothing: the proxy lives in a process of its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from claude_bottle.declare import NoSection, proxy
from claude_bottle.errors import Problem
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft, Upstream
from claude_bottle.seam.part import Part
from claude_bottle.seam.probe import Finding, ProbeResult
from claude_bottle.seam.traits import ProxyTraits

if TYPE_CHECKING:
    from claude_bottle.seam.proxy import Proxy
    from claude_bottle.seam.secrets import Secrets
    from claude_bottle.seam.sidecar import Site, Warm

__all__ = ["PLUGIN", "Mitmproxy"]

# ruff: noqa: PLC0415 - this module is imported to list and to plan; what runs a proxy is imported when one runs


class Mitmproxy:
    """mitmproxy, embedded, as a process beside the bottle."""

    @hookimpl
    def probe(self) -> ProbeResult:
        """Look for mitmproxy and for the host's own authorities."""
        import importlib.util

        from claude_bottle.seam.trust import find_bundle

        installed = importlib.util.find_spec("mitmproxy") is not None
        bundle = find_bundle()
        findings = (
            Finding(what="mitmproxy", ok=installed, cure=None if installed else "pip install bottle-mitmproxy"),
            Finding(
                what="host CA bundle",
                ok=bundle is not None,
                detail=str(bundle or "no server's certificate can be verified"),
                cure=None if bundle else "install the package ca-certificates, or set SSL_CERT_FILE",
            ),
        )
        return ProbeResult(state="ready" if installed and bundle else "broken", findings=findings)

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Refuse what would fail later: unreadable hosts, files of authorities, a proxy with a password."""
        if spec.upstream == Upstream() and not spec.egress.private_addresses:
            return ()
        from bottle_mitmproxy.problems import find_problems

        return tuple(find_problems(spec))

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[NoSection]:
        """Answer for every host with what is wanted: each level is possible for each host."""
        lines = ()
        if spec.upstream.proxy:
            lines = (
                (
                    "upstream proxy",
                    "decides the address; literal addresses and names that are private here are refused",
                ),
            )
        return Part(section=NoSection(), rules=draft.wanted, lines=lines)

    @hookimpl
    def warm_up(self, plan: Plan) -> "Warm":
        """Begin the proxy's imports."""
        from bottle_mitmproxy.warm import spawn

        del plan
        return spawn()

    @hookimpl
    def start_proxy(self, plan: Plan, site: "Site", secrets: "Secrets", warm: "Warm | None") -> "Proxy":
        """Describe the process to the site; nothing is waited for."""
        from bottle_mitmproxy.start import start

        return start(plan, site, secrets, warm)


PLUGIN = proxy(
    Mitmproxy(),
    section=NoSection,
    traits=ProxyTraits(runs=frozenset({"process", "image"}), listen=frozenset({"tcp", "fd"}), inject=True),
)
