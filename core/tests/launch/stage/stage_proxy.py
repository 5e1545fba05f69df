"""The stage's proxy plugin: a real process that listens, refuses, and tells what it refused."""

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from stage_world import note, step

from claude_bottle.declare import NoSection, proxy
from claude_bottle.errors import LaunchError
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.event import Event
from claude_bottle.seam.levels import HostRule
from claude_bottle.seam.part import Part
from claude_bottle.seam.probe import ProbeResult
from claude_bottle.seam.proxy import Proxy
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import File, Sidecar, SidecarSpec, Site, Warm
from claude_bottle.seam.traits import ProxyTraits

__all__ = ["PLUGIN"]

CA = ssl.DER_cert_to_PEM_cert(b"these bytes stand for a certificate").encode()


class StageProxy:
    """A handle on the sidecar."""

    env: Mapping[str, str]

    def __init__(self, sidecar: Sidecar) -> None:
        self.env = {"STAGE_PLACEHOLDER": "placeholder"}
        self._sidecar = sidecar
        self._lines = sidecar.lines()

    def ready(self, timeout: float) -> bytes | None:
        """Wait for the first line."""
        del timeout
        step("ready")
        line = next(self._lines, b"")
        if line.strip() != b"ready":
            raise LaunchError(f"the proxy ended: {line.decode().strip()}")
        return {"none": None, "garbage": b"no certificate"}.get(os.environ.get("STAGE_CA", ""), CA)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end."""
        return self._sidecar.wait(timeout)

    def events(self) -> Iterator[Event]:
        """Yield what it tells."""
        for line in self._lines:
            step("event")
            yield msgspec.json.decode(line, type=Event)

    def reload(self, rules: Sequence[HostRule]) -> bool:
        """Take other rules."""
        step("reload")
        for rule in rules:
            note(f"rule {rule.host} {rule.level} {rule.plain} {','.join(map(str, rule.ports))} {rule.why}")
        self._sidecar.put([File("rules.json", msgspec.json.encode(rules))])
        return os.environ.get("STAGE_RELOAD") != "no"

    def stop(self) -> None:
        """End it."""
        step("stop proxy")
        self._sidecar.stop()


class StageProxyHooks:
    """Needs nothing of this machine."""

    @hookimpl
    def probe(self) -> ProbeResult:
        """Return that all is well."""
        return ProbeResult(state="ready")

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[NoSection]:
        """Take every rule as it is wanted, but for what the environment asks for."""
        step("resolve proxy")
        rules = draft.wanted
        match os.environ.get("STAGE_RULES"):
            case "lost":
                rules = rules[1:]
            case "added":
                rules = (*rules, HostRule(host="added.example", level="warn", plain="warn", why="mine"))
            case "twice":
                rules = (*rules, *rules[:1])
            case _:
                pass
        return Part(section=spec.section(NoSection), rules=rules)

    @hookimpl
    def warm_up(self, plan: Plan) -> Warm | None:
        """Begin a process that does nothing."""
        del plan
        if not os.environ.get("STAGE_WARM"):
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = subprocess.Popen(["sleep", "60"], pass_fds=(theirs.fileno(),), start_new_session=True)
        theirs.close()
        note(f"warm {process.pid}")
        return Warm(process, ours)

    @hookimpl
    def start_proxy(self, plan: Plan, site: Site, secrets: Secrets, warm: Warm | None) -> Proxy:
        """Describe the sidecar, and return."""
        step("start_proxy")
        program = str(Path(__file__).with_name("stage_sidecar.py"))
        argv = (sys.executable, "-I", "-S", program, str(site.listen.port), os.environ.get("STAGE_ANSWER", "refuse"))
        sidecar = site.run(SidecarSpec(argv=argv, warm=warm))
        step("start_proxy late")
        started = StageProxy(sidecar)
        match os.environ.get("STAGE_INJECT"):
            case "the value":
                started.env = {it.name: secrets[it.name] for it in plan.injected}
            case "nothing":
                started.env = {}
            case _:
                started.env = {**started.env, **{it.name: f"for {it.name}" for it in plan.injected}}
        return started


PLUGIN = proxy(StageProxyHooks(), section=NoSection, traits=ProxyTraits(runs=frozenset({"process"})))
