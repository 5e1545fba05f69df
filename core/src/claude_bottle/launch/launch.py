"""A launch: brought up in core's order, proved, handed over, and undone in reverse whatever happens."""

import secrets as randomness
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from claude_bottle.errors import BottleError, ImageError, LaunchError, PluginError, Problem, map_exceptions
from claude_bottle.launch.allow import Allowances
from claude_bottle.launch.bound import Bound, prove_mounts
from claude_bottle.launch.control import (
    AllowRequest,
    CompareRequest,
    ControlServer,
    DiscardRequest,
    PullRequest,
    Request,
)
from claude_bottle.launch.evidence import EvidenceFile
from claude_bottle.launch.phases import Phases
from claude_bottle.launch.prepare import Prepared
from claude_bottle.launch.prove import Proof, refused_name
from claude_bottle.launch.provision import provision, provision_ca
from claude_bottle.launch.record import LaunchRecord, forget, write_record
from claude_bottle.launch.redact import Redactor
from claude_bottle.launch.signals import Signals
from claude_bottle.launch.team import ask, ask_maybe
from claude_bottle.launch.undo import Undo
from claude_bottle.launch.watch import Watch, watch_proxy
from claude_bottle.launch.work import Keeper, Work
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.event import Event
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.proxy import Proxy
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import Warm

__all__ = ["Console", "Running", "explain", "launched", "warm_up"]

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
    """A bottle that is up, proved and provisioned; `prompt` is its file's path where there is a prompt.

    `lost` is set where the launch has ended although the work could not come out.
    """

    bottle: Bottle
    launch: Launch
    watch: Watch
    prompt: str | None
    work: Work
    lost: threading.Event

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
    prepared: Prepared,
    secrets: Secrets,
    warm: Warm | None,
    console: Console,
    *,
    answers: Secrets | None = None,
    detach: bool = False,
) -> Generator[Running]:
    """Bring a bottle up and yield it; on the way out work is brought out, and all is removed in reverse order.

    `secrets` are the bottle's own, `answers` those that its provisioners asked for.
    The body runs with signals turned into `Interrupted`; the way up and the way back hold them back.
    """
    signals, undo = Signals(), Undo()
    launch = Launch(label=randomness.token_hex(8), owner=Owner.current(), detach=detach)
    running: Running | None = None
    with signals.caught():
        try:
            course = _Course(launch, signals, undo, answers or Secrets())
            running = _bring_up(prepared, secrets, warm, console, course)
            yield running
        finally:
            try:
                signals.silence()
            finally:  # a signal between the two raises above, and nothing can raise here
                if running is not None and not Keeper(running.work, signals, console.say).bring_out():
                    running.lost.set()
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
    answers: Secrets


def _bring_up(prepared: Prepared, secrets: Secrets, warm: Warm | None, console: Console, course: _Course) -> Running:
    plan, team, undo, phase = prepared.plan, prepared.team, course.undo, console.phases.phase
    if warm is not None:
        undo.register("warm proxy", warm.end)
    backend, front = team.backend, team.proxy
    bound = Bound(plan.mounts, course.launch.label) if plan.mounts else None
    with phase("site"), course.signals.held():
        if bound is not None:
            undo.register("bound folder", bound.release)
            with map_exceptions({OSError: LaunchError}):
                bound.hold()
        site = ask(backend, lambda: backend.hooks.open_site(plan=plan, launch=course.launch, say=console.say))
        undo.register("site", site.close)
    with phase("proxy"), course.signals.held():
        proxy = ask(front, lambda: front.hooks.start_proxy(plan=plan, site=site, secrets=secrets, warm=warm))
        undo.register("proxy", proxy.stop)
        placeholders = _placeholders(prepared, proxy, secrets)
    with phase("images"), _naming_other_ways(prepared):
        ask_maybe(backend, site.settle)
    proof = Proof(plan, site, backend.plugin.backend_traits)
    undo.register("proof", proof.close)  # after the bottle has ended, and with it whoever looks around in there
    with phase("bottle"), course.signals.held():
        env, seen = dict(plan.literals) | placeholders, secrets.only(secrets.keys() - {it.name for it in plan.injected})
        bottle = ask(backend, lambda: backend.hooks.start_bottle(plan=plan, site=site, env=env, secrets=seen))
        undo.register("bottle", bottle.stop)
        if bound is not None:
            bound.follow(bottle)
        proof.begin(bottle)
    with phase("proxy ready"), _blaming_its_backend(bottle):
        ca = ask_maybe(front, lambda: proxy.ready(READY_DEADLINE))
    proof.ask_proxy(bottle)
    with course.signals.held(), map_exceptions({OSError: LaunchError}):
        watch = _watch(course, console, bottle, proxy, Redactor(secrets))
    with phase("provision"):
        if ca is not None:
            provision_ca(prepared, bottle, ca, console.say)
    with phase("proof"):
        ask_maybe(backend, proof.judge)
        with map_exceptions({OSError: LaunchError}):
            prove_mounts(plan.mounts, bottle)
    with phase("provision"):
        prompt = provision(prepared, bottle, course.answers, watch.report)
    work = Work(prepared, bottle)
    with course.signals.held(), map_exceptions({OSError: LaunchError}):
        _announce(prepared, course, work, proxy)
    return Running(bottle, course.launch, watch, prompt, work, threading.Event())


@contextmanager
def _blaming_its_backend(bottle: Bottle) -> Generator[None]:
    """Raise that a backend does not answer, where that is so, in place of what its proxy makes of it."""
    try:
        yield
    except BottleError:
        _ = bottle.state
        raise


@contextmanager
def _naming_other_ways(prepared: Prepared) -> Generator[None]:
    """Name the flags with which the same bottle may do without an image that cannot be had."""
    try:
        yield
    except ImageError as error:
        plan, pairs = prepared.plan, prepared.sources.inventory.defaults.preference
        ways = [f"--proxy {it.proxy}" for it in pairs if it.proxy != plan.proxy.name]
        ways += [f"--backend {it.backend} --proxy {it.proxy}" for it in pairs if it.backend != plan.backend.name]
        hint = ", or ".join([*([error.hint] if error.hint else []), *dict.fromkeys(ways)])
        raise ImageError(error.message, hint or None) from error


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


def _announce(prepared: Prepared, course: _Course, work: Work, proxy: Proxy) -> None:
    """Leave a record for other terminals, and listen for what they ask.

    Only now: without a record no other terminal gets a command in, so none runs before the proof.
    """
    plan, launch = prepared.plan, course.launch
    record = LaunchRecord(
        label=launch.label,
        owner=launch.owner,
        agent=plan.agent,
        bottle=work.bottle.name,
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
    server = ControlServer(record.socket, _answering(Allowances(prepared, proxy), work))
    course.undo.register("control socket", server.close)


def _answering(allowances: Allowances, work: Work) -> Callable[[Request], bytes]:
    def answer(request: Request) -> bytes:
        match request:
            case AllowRequest():
                allowances.allow(request)
            case PullRequest():
                return "".join(f"{line}\n" for line in work.pull()).encode()
            case CompareRequest():
                return work.compare()
            case DiscardRequest():
                work.discard()
        return b""

    return answer


def explain(prepared: Prepared, running: Running, code: int) -> list[Problem]:
    """Return what the agent's plugin knows of how its program ended; nothing where another command ran in its place.

    A bottle that cannot be looked into any more explains nothing, which changes nothing about the end.
    """
    plan, agent = prepared.plan, prepared.team.agent
    if plan.words and not plan.words[0].startswith("-"):
        return []
    if code and running.watch.ended.is_set():  # which the plugin cannot know, and takes for the network's fault
        return [Problem("the proxy ended, and with it the bottle's way out", "start it again")]
    with suppress(BottleError):
        bottle, hooks, events = running.bottle, agent.hooks, tuple(running.events)
        causes = ask_maybe(agent, lambda: hooks.explain(bottle=bottle, plan=plan, code=code, events=events))
        return list(causes or ())
    return []
