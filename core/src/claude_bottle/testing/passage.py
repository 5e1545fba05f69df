"""The kit's own proxy: what it says of itself, and how it is started. Its program is `claude_bottle.testing.gate`.

It opens TLS, refuses and records, but knows one kind of credential: it is for contracts of what is no proxy, and to be
read by whoever writes one. `start` refuses it.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import msgspec

from claude_bottle.declare import NoSection, proxy
from claude_bottle.errors import LaunchError
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.event import Event
from claude_bottle.seam.levels import HostRule
from claude_bottle.seam.part import Part
from claude_bottle.seam.probe import ProbeResult
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import File, Sidecar, SidecarSpec, Site, Warm
from claude_bottle.seam.traits import ProxyTraits
from claude_bottle.seam.trust import read_bundle
from claude_bottle.testing.policy import POLICY, RECORD, Policy

__all__ = ["PASSAGE", "PLUGIN", "PassageHooks"]

PASSAGE = f"{__name__}:PLUGIN"


class Passage:
    """A handle on the sidecar."""

    env: Mapping[str, str] = MappingProxyType({})

    def __init__(self, plan: Plan, site: Site) -> None:
        self._plan = plan
        self._trusted = read_bundle(plan.egress.upstream.ca).decode()
        listen = site.listen
        how = ("fd",) if listen.way == "fd" else ("tcp", site.root, listen.host, str(listen.port))
        argv = (sys.executable, "-m", "claude_bottle.testing.gate", *how)
        files = (self._policy(plan.egress.rules),)
        self._sidecar: Sidecar = site.run(SidecarSpec(argv=argv, files=files, folders=(RECORD,)))
        self._lines: Iterator[bytes] = iter(())

    def ready(self, timeout: float) -> bytes | None:
        """Wait for the first line, which is the authority."""
        self._lines = iter(self._sidecar.lines(timeout))
        if (line := next(self._lines, None)) is None:
            raise LaunchError(f"the proxy ended: {self._sidecar.last_words}")
        return msgspec.json.decode(line, type=str).encode()

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end."""
        return self._sidecar.wait(timeout)

    def events(self) -> Iterator[Event]:
        """Yield what it tells, from the beginning."""
        lines = self._sidecar.lines()
        next(lines, None)
        for line in lines:
            yield msgspec.structs.replace(msgspec.json.decode(line, type=Event), bottle=self._plan.bottle)

    def reload(self, rules: Sequence[HostRule]) -> bool:
        """Write other rules: the program reads them anew for each request."""
        self._sidecar.put([self._policy(rules)])
        return True

    def stop(self) -> None:
        """End it."""
        self._sidecar.stop()

    def _policy(self, rules: Sequence[HostRule]) -> File:
        hosts = dict(self._plan.egress.upstream.hosts)
        policy = Policy(rules=tuple(rules), hosts=hosts, trusted=self._trusted)
        return File(POLICY, msgspec.json.encode(policy))


class PassageHooks:
    """Every hook that a proxy must have."""

    @hookimpl
    def probe(self) -> ProbeResult:
        """Need nothing but what the kit needs."""
        return ProbeResult(state="ready")

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[NoSection]:
        """Hold each rule as it is wanted."""
        return Part(section=spec.section(NoSection), rules=draft.wanted)

    @hookimpl
    def start_proxy(self, plan: Plan, site: Site, secrets: Secrets, warm: Warm | None) -> Passage:
        """Describe the program to the site, and return."""
        del secrets, warm
        return Passage(plan, site)


PLUGIN = proxy(
    PassageHooks(),
    section=NoSection,
    traits=ProxyTraits(runs=frozenset({"process"}), listen=frozenset({"tcp", "fd"}), confines=False),
)
