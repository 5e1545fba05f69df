"""A launch: brought up in core's order, proved, handed over, and undone in reverse whatever happens."""

import hashlib
import secrets as randomness
import ssl
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from claude_bottle.errors import LaunchError, PluginError, map_exceptions
from claude_bottle.launch.allow import Allowances
from claude_bottle.launch.control import ControlServer
from claude_bottle.launch.evidence import EvidenceFile
from claude_bottle.launch.phases import Phases
from claude_bottle.launch.prepare import Prepared
from claude_bottle.launch.prove import prove_isolation, refused_name
from claude_bottle.launch.record import LaunchRecord, forget, write_record
from claude_bottle.launch.redact import Redactor
from claude_bottle.launch.signals import Signals
from claude_bottle.launch.team import ask, ask_maybe
from claude_bottle.launch.undo import Undo
from claude_bottle.launch.watch import Watch, watch_proxy
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.event import Event
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.proxy import Proxy
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import Warm

__all__ = ["Console", "Running", "launched", "warm_up"]

READY_DEADLINE = 60.0
"""Seconds that a proxy may take until it serves."""


class Console(NamedTuple):
    """Where a launch speaks: its phases, and a line to the user at once."""

    phases: Phases
    write: Callable[[str], None]

    def say(self, line: str) -> None:
        """Write a line where the phase was shown."""
        self.phases.clear()
        with suppress(OSError):  # as there
            self.write(line)


class Running(NamedTuple):
    """A bottle that is up, proved and provisioned; `prompt` is its file's path where there is a prompt."""

    bottle: Bottle
    launch: Launch
    watch: Watch
    prompt: str | None

    @property
    def events(self) -> list[Event]:
        """What the proxy decided so far."""
        return self.watch.events


def warm_up(prepared: Prepared) -> Warm | None:
    """Let the proxy begin its slow imports; whoever gets the process must hand it over or end it.

    None where the proxy will not be a process of this machine.
    """
    proxy, traits = prepared.team.proxy, prepared.team.backend.plugin.backend_traits
    if traits is None or traits.runs != "process":
        return None
    return ask_maybe(proxy, lambda: proxy.hooks.warm_up(plan=prepared.plan))


@contextmanager
def launched(
    prepared: Prepared, secrets: Secrets, warm: Warm | None, console: Console, *, detach: bool = False
) -> Generator[Running]:
    """Bring a bottle up and yield it; on the way out everything is removed, in reverse order.

    The body runs with signals turned into `Interrupted`; the way up and the way back hold them back.
    """
    signals, undo = Signals(), Undo()
    launch = Launch(label=randomness.token_hex(8), owner=Owner.current(), detach=detach)
    with signals.caught():
        try:
            yield _bring_up(prepared, secrets, warm, console, _Course(launch, signals, undo))
        finally:
            try:
                signals.silence()
            finally:  # a signal between the two raises above, and nothing can raise here
                _take_down(undo, console)


def _take_down(undo: Undo, console: Console) -> None:
    with console.phases.phase("removing"):
        failures = undo.unwind()
    for failure in failures:
        console.say(f"warning: not removed: {failure} (run bottle cleanup)")


class _Course(NamedTuple):
    """What every step of the way up needs beside the plan."""

    launch: Launch
    signals: Signals
    undo: Undo


def _bring_up(prepared: Prepared, secrets: Secrets, warm: Warm | None, console: Console, course: _Course) -> Running:
    plan, team, undo, phase = prepared.plan, prepared.team, course.undo, console.phases.phase
    if warm is not None:
        undo.register("warm proxy", warm.end)
    backend, front = team.backend, team.proxy
    with phase("site"), course.signals.held():
        site = ask(backend, lambda: backend.hooks.open_site(plan=plan, launch=course.launch, say=console.say))
        undo.register("site", site.close)
    with phase("proxy"), course.signals.held():
        proxy = ask(front, lambda: front.hooks.start_proxy(plan=plan, site=site, secrets=secrets, warm=warm))
        undo.register("proxy", proxy.stop)
        placeholders = _placeholders(prepared, proxy, secrets)
    with phase("images"):
        ask_maybe(backend, site.settle)
    with phase("bottle"), course.signals.held():
        env, seen = dict(plan.literals) | placeholders, secrets.only(secrets.keys() - {it.name for it in plan.injected})
        bottle = ask(backend, lambda: backend.hooks.start_bottle(plan=plan, site=site, env=env, secrets=seen))
        undo.register("bottle", bottle.stop)
    with phase("proxy ready"):
        ca = ask_maybe(front, lambda: proxy.ready(READY_DEADLINE))
    with course.signals.held(), map_exceptions({OSError: LaunchError}):
        watch = _watch(course, console, bottle, proxy, Redactor(secrets))
    with phase("provision"):
        if ca is not None:
            _provision_ca(prepared, bottle, ca, console)
    with phase("proof"):
        ask_maybe(backend, lambda: prove_isolation(plan, site, bottle))
    with phase("provision"):
        prompt = _provision(prepared, bottle)
    with course.signals.held(), map_exceptions({OSError: LaunchError}):
        _announce(prepared, course, bottle, proxy)
    return Running(bottle, course.launch, watch, prompt)


def _placeholders(prepared: Prepared, proxy: Proxy, secrets: Secrets) -> dict[str, str]:
    """Return what the agent holds for each injected credential; PluginError if the proxy made none of one."""
    front, env = prepared.team.proxy, dict(ask_maybe(prepared.team.proxy, lambda: proxy.env))
    for injection in prepared.plan.injected:
        if env.get(injection.name, secrets[injection.name]) == secrets[injection.name]:
            raise PluginError(front.name, f"proxy {front.name} gave no placeholder for {injection.name}")
    return env


def _watch(course: _Course, console: Console, bottle: Bottle, proxy: Proxy, redactor: Redactor) -> Watch:
    evidence = EvidenceFile(bottle.name, course.launch.label)
    course.undo.register("evidence", evidence.close)
    own = refused_name(course.launch.label)
    watch = watch_proxy(proxy, evidence, redactor, lambda line: console.say(f"warning: {line}"), unrecorded=own)
    course.undo.register("last events", watch.finish)
    course.undo.register("proxy", proxy.stop)
    course.undo.register("watch", watch.expected.set)
    return watch


def _announce(prepared: Prepared, course: _Course, bottle: Bottle, proxy: Proxy) -> None:
    """Leave a record for other terminals, and listen for `bottle allow`.

    Only now: without a record no other terminal gets a command in, so none runs before the proof.
    """
    plan, launch = prepared.plan, course.launch
    record = LaunchRecord(
        label=launch.label,
        owner=launch.owner,
        agent=plan.agent,
        bottle=bottle.name,
        bottle_section=plan.bottle,
        backend=plan.backend.name,
        proxy=plan.proxy.name,
        started=time.time(),
        detach=launch.detach,
        argv=plan.argv,
        manifest=str(prepared.sources.manifest.path),
    )
    course.undo.register("record", lambda: forget(launch.label))
    write_record(record)
    server = ControlServer(record.socket, Allowances(prepared, proxy).allow)
    course.undo.register("control socket", server.close)


def _provision_ca(prepared: Prepared, bottle: Bottle, ca: bytes, console: Console) -> None:
    """Make programs inside trust the CA: the backend if it knows better, else the first provisioner that can."""
    plan, team = prepared.plan, prepared.team
    for loaded in (team.backend, *team.provisioners):
        if ask_maybe(loaded, lambda loaded=loaded: loaded.hooks.provision_ca(bottle=bottle, plan=plan, ca=ca)):
            console.say(f"tls intercept: CA SHA-256 {fingerprint(ca)}")
            return


def fingerprint(ca: bytes) -> str:
    """Return the SHA-256 of a PEM certificate's DER form, in hex; LaunchError if it is none."""
    try:
        der = ssl.PEM_cert_to_DER_cert(ca.decode("ascii"))
    except ValueError as error:
        raise LaunchError("the proxy gave no certificate as its CA") from error
    return hashlib.sha256(der).hexdigest()


def _provision(prepared: Prepared, bottle: Bottle) -> str | None:
    """Run the other steps in their order: prompt, skills, ssh, git, then anything else."""
    plan, team = prepared.plan, prepared.team
    agent = team.agent
    prompt = ask_maybe(agent, lambda: agent.hooks.provision_prompt(bottle=bottle, plan=plan))
    for loaded in team.provisioners:
        hooks = loaded.hooks
        ask_maybe(loaded, lambda hooks=hooks: hooks.provision_skills(bottle=bottle, plan=plan))
    for loaded in team.provisioners:
        hooks = loaded.hooks
        ask_maybe(loaded, lambda hooks=hooks: hooks.provision_ssh(bottle=bottle, plan=plan))
    for loaded in team.provisioners:
        hooks = loaded.hooks
        ask_maybe(loaded, lambda hooks=hooks: hooks.provision_git(bottle=bottle, plan=plan))
    for loaded in team.everyone:
        hooks = loaded.hooks
        ask_maybe(loaded, lambda hooks=hooks: hooks.provision(bottle=bottle, plan=plan))
    return prompt


def collect(prepared: Prepared, bottle: Bottle) -> list[str]:
    """Bring work out before teardown, and return one line for each thing."""
    lines: list[str] = []
    for loaded in prepared.team.provisioners:
        hooks = loaded.hooks
        lines += ask_maybe(loaded, lambda hooks=hooks: hooks.collect(bottle=bottle, plan=prepared.plan)) or ()
    return lines
