"""A proxy of the first generation, with every hook of its kind: it refuses everything."""

import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from frozen_world import called
from msgspec import Struct

from claude_bottle.declare import proxy
from claude_bottle.errors import LaunchError, Problem
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.event import Event
from claude_bottle.seam.levels import HostRule
from claude_bottle.seam.part import Part
from claude_bottle.seam.probe import Finding, ProbeResult
from claude_bottle.seam.proxy import Proxy
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import File, Sidecar, SidecarSpec, Site, Warm
from claude_bottle.seam.traits import ProxyTraits

__all__ = ["PLUGIN"]

CA = ssl.DER_cert_to_PEM_cert(b"these bytes stand for a certificate").encode()


class FrozenWaySection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How patient it is."""

    timeout: float = 5.0


class FrozenProxy:
    """A sidecar that runs."""

    env: Mapping[str, str]

    def __init__(self, sidecar: Sidecar) -> None:
        self.env = {"FROZEN_PLACEHOLDER": "placeholder"}
        self._sidecar = sidecar
        self._lines = sidecar.lines()

    def ready(self, timeout: float) -> bytes | None:
        """Wait for its first line."""
        if timeout <= 0 or next(self._lines, b"").strip() != b"ready":
            raise LaunchError("the proxy ended", self._sidecar.last_words or None)
        return CA

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end."""
        return self._sidecar.wait(timeout)

    def events(self) -> Iterator[Event]:
        """Yield what it refused."""
        for line in self._lines:
            host = line.decode().strip()
            yield Event(time=0.0, verdict="deny", host=host, port=443, rule="allowlist", reason="frozen", fix="none")

    def reload(self, rules: Sequence[HostRule]) -> bool:
        """Take other rules, which change nothing."""
        self._sidecar.put([File("rules.json", msgspec.json.encode(rules), 0o600)])
        return True

    def stop(self) -> None:
        """End it."""
        self._sidecar.stop()


class FrozenWay:
    """Runs a program that refuses."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Find impatience."""
        return [Problem("too hasty")] if spec.section(FrozenWaySection).timeout <= 0 else []

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[FrozenWaySection]:
        """Return the rules that are wanted."""
        rules = tuple(
            HostRule(host=it.host, level=it.level, plain=it.plain, why=it.why, ports=it.ports, raw_ports=it.raw_ports)
            for it in draft.wanted
        )
        return Part(section=spec.section(FrozenWaySection), rules=rules)

    @hookimpl
    def probe(self) -> ProbeResult:
        """Find all well."""
        return ProbeResult(state="ready", findings=(Finding(what="frozen way", ok=True, detail="", cure=None),))

    @hookimpl
    def warm_up(self, plan: Plan) -> Warm | None:
        """Begin nothing."""
        called("warm_up" if plan.egress.rules else "warm_up without rules")
        return None

    @hookimpl
    def start_proxy(self, plan: Plan, site: Site, secrets: Secrets, warm: Warm | None) -> Proxy:
        """Describe the program."""
        called("start_proxy")
        program = str(Path(__file__).with_name("frozen_sidecar.py"))
        argv = (sys.executable, "-I", program, site.listen.host, str(site.listen.port))
        rules = msgspec.json.encode(plan.egress.rules)
        assert site.runs == "process"
        assert "FROZEN_TOKEN" in secrets
        return FrozenProxy(site.run(SidecarSpec(argv=argv, files=(File("rules.json", rules),), warm=warm)))

    @hookimpl
    def provision(self, bottle: Bottle, plan: Plan) -> None:
        """Take part."""
        called("provision proxy")
        assert bottle.launch
        assert plan.proxy.name == "frozenway"


PLUGIN = proxy(
    FrozenWay(),
    section=FrozenWaySection,
    traits=ProxyTraits(runs=frozenset({"process"}), listen=frozenset({"tcp"}), inject=False, lacks=("everything",)),
    api=1,
)
