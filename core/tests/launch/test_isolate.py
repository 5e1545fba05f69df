"""Calls in child processes: each answers alone, and none can hurt this process or another call."""

import faulthandler
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from core_harness import process_lives, wait_until

from claude_bottle.errors import BottleError, DeadlineError, PluginError, UnavailableError
from claude_bottle.launch.isolate import isolated
from claude_bottle.seam.probe import Finding, ProbeResult

READY = ProbeResult(state="ready", findings=(Finding(what="a line\nand another", ok=True),))


def refuse() -> ProbeResult:
    """Fail on purpose."""
    raise UnavailableError("its engine is down", "start it")


def crash() -> ProbeResult:
    """Take the interpreter down, without the report that pytest has asked for."""
    faulthandler.disable()
    os.abort()


def leave() -> ProbeResult:
    """End the process without a word."""
    os._exit(7)


def quit_() -> ProbeResult:
    """Ask Python to end."""
    sys.exit(3)


def hang() -> ProbeResult:
    """Never answer, and do not let yourself be asked to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
    raise AssertionError


def chatter() -> ProbeResult:
    """Write to every stream there is."""
    sys.stdout.write("noise\n")
    sys.stdout.flush()
    os.write(2, b"noise\n")
    return READY


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (refuse, PluginError, "its engine is down"),
        (crash, PluginError, "it ends the interpreter with SIGABRT"),
        (leave, PluginError, "it ends the interpreter with exit code 7"),
        (quit_, PluginError, "SystemExit: 3"),
        (lambda: 1 / 0, PluginError, "ZeroDivisionError: division by zero"),
    ],
)
def test_each_end_is_an_error_beside_the_others_answers(
    call: Callable[[], ProbeResult], error: type[BottleError], message: str
) -> None:
    """A refusal, a crash, an exit: an error in its place, and who stands before and after it has answered."""
    first, met, last = isolated([lambda: READY, call, lambda: READY], ProbeResult, 10)
    assert (first, last) == (READY, READY)
    assert type(met) is error
    assert isinstance(met, BottleError)
    assert met.message == message


def test_a_refusal_keeps_its_hint() -> None:
    """What is raised on purpose comes with what to do."""
    [met] = isolated([refuse], ProbeResult, 10)
    assert isinstance(met, BottleError)
    assert met.hint == "start it"


def test_all_share_one_deadline() -> None:
    """Those that hang cost one deadline together, are killed, and the others' answers are there."""
    begin = time.monotonic()
    met = isolated([hang, lambda: READY, hang], ProbeResult, 0.5)
    assert time.monotonic() - begin < 3
    assert [type(it) for it in met] == [DeadlineError, ProbeResult, DeadlineError]
    assert str(met[0]) == "no answer within 0.5 s"


def test_nothing_is_left_of_a_call(tmp_path: Path) -> None:
    """A process that a plugin has started ends with the call, and nobody is left to be waited for."""

    def start() -> ProbeResult:
        (tmp_path / "pid").write_text(str(subprocess.Popen(["sleep", "60"]).pid))
        return READY

    assert isolated([start], ProbeResult, 10) == [READY]
    pid = int((tmp_path / "pid").read_text())
    wait_until("its end", lambda: not process_lives(pid), 5)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_what_a_call_writes_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither stream of this process has anything of it."""
    assert isolated([chatter], ProbeResult, 10) == [READY]
    assert capfd.readouterr() == ("", "")


def test_a_long_answer_is_whole() -> None:
    """An answer larger than a pipe holds comes in one piece."""
    long = ProbeResult(state="ready", findings=(Finding(what="x" * 300_000, ok=True),))
    assert isolated([lambda: long, lambda: long], ProbeResult, 10) == [long, long]


def test_no_call_is_no_answer() -> None:
    """Nobody to ask is nothing, at once."""
    assert isolated([], ProbeResult, 10) == []
