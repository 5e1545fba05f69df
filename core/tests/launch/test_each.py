"""Asking every backend: each alone and within one deadline; whoever fails, hangs or breaks is a line of its own."""

import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
from core_harness import write_backend

from claude_bottle.launch.bottles import Answer, ask_each
from claude_bottle.launch.team import ask
from claude_bottle.plugins.record import Record
from claude_bottle.seam.probe import ProbeResult

BODIES = {
    "good": 'return ProbeResult(state="ready")',
    "refuser": 'raise UnavailableError("its engine is down")',
    "raiser": 'raise ValueError("a mistake")',
    "quitter": "raise SystemExit(0)",
    "mute": "return None",
    "hanger": "time.sleep(30)",
    "hanger2": "time.sleep(30)",
}


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Record]:
    """Return a backend for each way to behave, and two whose import is broken or never ends."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    sources = {
        name: dedent(f"""
            import time
            from claude_bottle.declare import NoSection, Plugin
            from claude_bottle.errors import UnavailableError
            from claude_bottle.hookspecs import hookimpl
            from claude_bottle.seam.probe import ProbeResult
            from claude_bottle.seam.traits import BackendTraits
            class Box:
                @hookimpl
                def probe(self):
                    {body}
            PLUGIN = Plugin("backend", Box(), NoSection, backend_traits=BackendTraits(runs="process"))
        """)
        for name, body in BODIES.items()
    } | {"broken": "import no_such_module", "slow": "import time; time.sleep(30)"}
    return {name: write_backend(tmp_path, name, source) for name, source in sources.items()}


def probe(records: dict[str, Record], *names: str) -> tuple[list[Answer[ProbeResult]], float]:
    """Ask these, and return the answers and the seconds that it took."""
    begin = time.monotonic()
    answers = ask_each([records[name] for name in names], lambda it: ask(it, it.hooks.probe), deadline=0.4)
    return answers, time.monotonic() - begin


def test_each_backend_is_a_line_and_none_hides_another(records: dict[str, Record]) -> None:
    """S32: an answer or a reason for each, in the order asked, whatever the others do."""
    names = ["good", "refuser", "raiser", "quitter", "mute", "broken"]
    answers, _ = probe(records, *names)
    told = {answer.record.name: str(answer.error) for answer in answers if answer.error}
    assert [answer.record.name for answer in answers] == names
    assert [answer.record.name for answer in answers if answer.value] == ["good"]
    assert told == {
        "refuser": "its engine is down",
        "raiser": "backend raiser (bottle-raiser 1.0) failed: ValueError: a mistake",
        "quitter": "backend quitter (bottle-quitter 1.0) failed: SystemExit: 0",
        "mute": "backend mute (bottle-mute 1.0) does not answer",
        "broken": "backend broken (bottle-broken 1.0): its import failed with "
        "ModuleNotFoundError: No module named 'no_such_module'",
    }


def test_all_share_one_deadline(records: dict[str, Record]) -> None:
    """Backends that hang, also at import, cost one deadline together, and the others' answers are there."""
    answers, seconds = probe(records, "hanger", "slow", "hanger2", "good")
    assert [str(answer.error) for answer in answers[:3]] == ["no answer within 0.4 s"] * 3
    assert answers[3].value is not None
    assert seconds < 0.9


def test_nobody_to_ask_is_no_answer() -> None:
    """Without a backend there is nothing, at once."""
    assert ask_each([], lambda loaded: loaded) == []
