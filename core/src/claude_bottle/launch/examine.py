"""What a load of a plugin finds, and what it costs; each is loaded in a process of its own."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module

from claude_bottle.errors import BottleError, DeadlineError
from claude_bottle.launch.bottles import Answer
from claude_bottle.launch.isolate import isolated
from claude_bottle.launch.team import ask
from claude_bottle.plugins.load import implemented, load, refused
from claude_bottle.plugins.record import Outcome, Record, failure
from claude_bottle.seam.probe import ProbeResult

__all__ = ["LOAD_DEADLINE", "PROBE_DEADLINE", "examine", "present", "probe_each"]

LOAD_DEADLINE = 10.0
"""Seconds that a load may take."""

PROBE_DEADLINE = 1.2
"""Seconds that a plugin may take to look at this machine, its import included."""

WIDTH = min(os.cpu_count() or 1, 4)
"""Loads at the same time: more would only measure one another."""

STARTING = "claude_bottle.launch.prepare"
"""What a launch has imported before it loads a plugin: that is none of the plugin's cost."""


def examine(records: Sequence[Record], deadline: float = LOAD_DEADLINE) -> dict[Record, Outcome]:
    """Load each plugin, and return what that found."""
    import_module(STARTING)
    found: dict[Record, Outcome] = {}
    for begin in range(0, len(records), WIDTH):
        some = records[begin : begin + WIDTH]
        answers = isolated([partial(_load, record) for record in some], Outcome, deadline)
        found |= {record: _outcome(record, answer, deadline) for record, answer in zip(some, answers, strict=True)}
    return found


def probe_each(records: Sequence[Record], deadline: float = PROBE_DEADLINE) -> list[Answer[ProbeResult]]:
    """Ask each backend and proxy what it misses on this machine, all at the same time."""
    answers = isolated([partial(_probe, record) for record in records], ProbeResult, deadline)
    return [
        Answer(record, None, answer) if isinstance(answer, BottleError) else Answer(record, answer, None)
        for record, answer in zip(records, answers, strict=True)
    ]


def present(answers: Sequence[Answer[ProbeResult]]) -> Mapping[Record, ProbeResult]:
    """Return what was found; who gave no answer is there and broken, as a launch would have it."""
    return {answer.record: answer.value or ProbeResult(state="broken") for answer in answers}


def _load(record: Record) -> Outcome:
    before, begin = set(sys.modules), time.perf_counter()
    loaded = load(record)
    seconds = time.perf_counter() - begin
    added = [name for name in set(sys.modules) - before if name.partition(".")[0] != "claude_bottle"]
    hooks = implemented(loaded.plugin)
    return Outcome(hooks=hooks, going=loaded.going, seconds=round(seconds, 4), modules=len(added))


def _probe(record: Record) -> ProbeResult:
    loaded = load(record)
    return ask(loaded, loaded.hooks.probe)


def _outcome(record: Record, answer: Outcome | BottleError, deadline: float) -> Outcome:
    match answer:
        case Outcome():
            return answer
        case DeadlineError():
            return failure(record, refused(record, f"its import did not end within {deadline:g} s"))
        case BottleError():
            return failure(record, answer if answer.hint else refused(record, answer.message))
