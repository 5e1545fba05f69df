"""From a plan that was shown to the agent's exit code: the question, the launch, the terminal, the summary."""

import time
from collections.abc import Sequence

from claude_bottle.cli.approving import settle_approval
from claude_bottle.cli.errors import FAILED, LAUNCH_FAILED, say
from claude_bottle.cli.surroundings import stdin_is_terminal
from claude_bottle.errors import BottleError, Problem
from claude_bottle.launch.cores import forbid_core_files
from claude_bottle.launch.detach import Report, in_background
from claude_bottle.launch.evidence import Refusal, summarise
from claude_bottle.launch.launch import Console, Running, explain, launched, warm_up
from claude_bottle.launch.phases import Phases
from claude_bottle.launch.prepare import Prepared
from claude_bottle.launch.signals import Interrupted, Signals
from claude_bottle.launch.sources import Surroundings
from claude_bottle.launch.team import ask_maybe
from claude_bottle.plan.environment import resolve_answers, resolve_env
from claude_bottle.plan.view import render_text, view_plan
from claude_bottle.seam.event import Event
from claude_bottle.seam.printable import printable
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import Warm

__all__ = ["start"]

SHOWN = 20
"""Refusals in the summary at the end: an agent may try any number of names."""

POLL = 0.5
"""Seconds between two looks at a bottle that nobody is attached to."""


def start(prepared: Prepared, around: Surroundings, *, yes: bool, detach: bool, timings: bool) -> int:
    """Show the plan, ask, launch, hand over, take down; returns the exit code."""
    if not yes and not stdin_is_terminal():
        raise BottleError("there is no terminal to ask on", "add --yes once you have seen it with --dry-run")
    say(render_text(view_plan(prepared.plan)).rstrip("\n"))
    warm, secrets, answers, signals = None, None, Secrets(), Signals()
    try:
        with signals.caught():
            with signals.held():
                warm = None if detach else warm_up(prepared)
            if settle_approval(prepared, around, yes=yes):
                forbid_core_files()
                answers = resolve_answers(prepared.questions, prepared.secret_sources)
                secrets = resolve_env(prepared.spec, prepared.names, prepared.secret_sources)
    except Interrupted as interruption:
        say("")
        return interruption.exit_code
    finally:  # a no, a signal at a question: the warm process must not outlive it
        if secrets is None and warm is not None:
            warm.end()
    if secrets is None:
        say("not started")
        return FAILED
    if detach:
        return in_background(prepared.plan.slug, lambda report: _supervise(prepared, secrets, answers, report))
    return _foreground(prepared, secrets, answers, warm, timings=timings)


def _foreground(prepared: Prepared, secrets: Secrets, answers: Secrets, warm: Warm | None, *, timings: bool) -> int:
    phases = Phases()
    events: list[Event] = []
    causes: list[Problem] = []
    try:
        with launched(prepared, secrets, warm, Console(phases, say), answers=answers) as running:
            events = running.events
            code = _attach(prepared, running)
            causes = explain(prepared, running, code)
        code = LAUNCH_FAILED if running.lost.is_set() else code
    except Interrupted as interruption:
        code = interruption.exit_code
    _show_refusals(events)
    _show_causes(prepared, causes)
    if timings:
        say(phases.report().rstrip("\n"))
    return code


def _supervise(prepared: Prepared, secrets: Secrets, answers: Secrets, report: Report) -> int:
    """Hold a bottle that outlives its terminal: until its command ends, or it is stopped."""
    events: list[Event] = []
    said: list[str] = []

    def note(line: str) -> None:
        said.append(line)
        say(line)

    try:
        console = Console(Phases(show=False), note)
        with launched(prepared, secrets, None, console, answers=answers, detach=True) as running:
            events = running.events
            report(running.bottle.name, said)
            code = 0
            if prepared.spec.words:
                code = _attach(prepared, running)
            else:
                while running.bottle.state == "running" and not running.watch.ended.is_set():
                    time.sleep(POLL)
        code = LAUNCH_FAILED if running.lost.is_set() else code
    except Interrupted as interruption:
        code = interruption.exit_code
    _show_refusals(events)
    return code


def _attach(prepared: Prepared, running: Running) -> int:
    argv = prepared.plan.command(running.prompt)
    return ask_maybe(prepared.team.backend, lambda: running.bottle.attach(argv))


def _show_causes(prepared: Prepared, causes: Sequence[Problem]) -> None:
    """Say last, and in one line each, what the agent's plugin makes of the end: the cause, and its cure."""
    for cause in causes:
        cure = f"; {cause.hint}" if cause.hint else ""
        say(printable(f"{prepared.plan.agent_plugin}: {cause.message}{cure}"))


def _lasting(fix: str, host: str) -> str:
    """Return what would allow it the next time: there is no bottle any more that `bottle allow` could open."""
    return f"egress.allowlist: [{host}]" if fix.startswith("bottle allow ") else fix


def _show_refusals(events: list[Event]) -> None:
    """Say at the end what was refused, and what would allow it."""
    refusals = summarise(events)
    shown = refusals[:SHOWN]
    for by in dict.fromkeys(refusal.by for refusal in shown):
        say(printable(f"refused by the {by or 'proxy'}:"))
        for refusal in shown:
            if refusal.by == by:
                _show_refusal(refusal)
    if len(refusals) > SHOWN:
        say(f"  and {len(refusals) - SHOWN} more: bottle logs")


def _show_refusal(refusal: Refusal) -> None:
    times = "" if refusal.times == 1 else f" ({refusal.times} times)"
    host = refusal.host or "unknown host"
    where = "" if host == refusal.by else f"{host}: "
    say(printable(f"  {where}{refusal.reason}{times}"))
    if refusal.fix:
        say(printable(f"    {_lasting(refusal.fix, refusal.host)}"))
