"""The way back: in reverse, whatever fails, within deadlines; and the record that stays."""

import os
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from claude_bottle.launch.evidence import EvidenceFile, read_events, summarise
from claude_bottle.launch.signals import Interrupted, Signals
from claude_bottle.launch.undo import Undo
from claude_bottle.seam.event import Event


def test_steps_run_in_reverse_and_one_failure_stops_none() -> None:
    """S14: the last thing made is undone first; what fails or hangs is told, and the rest is undone."""
    done: list[str] = []
    release = threading.Event()
    undo = Undo(deadline=0.1)
    undo.register("first", lambda: done.append("first"))
    undo.register("broken", lambda: 1 / 0)
    undo.register("slow", release.wait)
    undo.register("last", lambda: done.append("last"))
    failures = undo.unwind()
    release.set()
    assert done == ["last", "first"]
    assert [failure.partition(":")[0] for failure in failures] == ["slow", "broken"]
    assert undo.unwind() == []


def test_a_signal_waits_while_something_is_made() -> None:
    """What is being made is registered before the signal is heard; then the launch ends with 128 + n."""
    signals, steps = Signals(), list[str]()

    def make() -> None:
        with signals.held():
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("made and registered")
        steps.append("never")

    with signals.caught(), pytest.raises(Interrupted) as caught:
        make()
    assert steps == ["made and registered"]
    assert caught.value.exit_code == 143


def test_a_signal_is_heard_at_once_elsewhere() -> None:
    """Between creates a signal ends the launch where it stands, and the handlers are put back."""
    before = signal.getsignal(signal.SIGHUP)

    def work() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(5)

    with Signals().caught(), pytest.raises(Interrupted):
        work()
    assert signal.getsignal(signal.SIGHUP) is before


def test_evidence_is_private_kept_and_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are lines of a file of mode 0600, which goes after 31 days without one; a cut-off line is passed over."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    now = time.time()
    old = EvidenceFile("b", "aa")
    old.close()
    os.utime(old.path, (now, now - 31 * 86400))
    begun = old.path.with_name(f"{int(now - 40 * 86400)}-b-cc.jsonl")
    begun.write_bytes(b"")
    file = EvidenceFile("b", "bb")
    file.write(Event(time=now, verdict="deny", host="x.test", rule="allowlist", reason="not allowed"))
    file.write(Event(time=now, verdict="deny", host="x.test", rule="allowlist", reason="not allowed"))
    file.write(Event(time=now, verdict="allow", host="y.test"))
    file.close()
    assert (old.path.exists(), begun.exists()) == (False, True)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    events = list(read_events([*file.path.read_bytes().splitlines(), b'{"time": 1, "verd']))
    assert [event.bottle for event in events] == ["b"] * 3
    (refusal,) = summarise(events)
    assert (refusal.times, refusal.host) == (2, "x.test")
