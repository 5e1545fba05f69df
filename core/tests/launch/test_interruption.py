"""Signals: real ones, to real launches, at every phase; nothing is left, and the exit code is the shell's."""

import os
import signal
import subprocess
import time

import pytest
from core_harness import User, wait_until

START = ("start", "reviewer", "--yes", "--file", "bottle.yaml")
PHASES = [
    "open_site",
    "start_proxy",
    "start_proxy late",
    "start_bottle",
    "start_bottle late",
    "ready",
    "look",
    "provision_prompt",
    "provision",
]
HELD = PHASES[:5]


def at(user: User, line: str) -> None:
    """Wait until the stage has come to a line."""
    wait_until(line, lambda: line in user.journal)


def end(launch: "subprocess.Popen[str]") -> tuple[int, str]:
    """Return the exit code and what was said."""
    _, said = launch.communicate(timeout=30)
    return launch.returncode, said


@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_at_any_phase_leaves_nothing(user: User, phase: str) -> None:
    """S14: Ctrl-C on the way up: what is being made is finished, then all is removed; no agent, exit code 130."""
    launch = user.begin(*START, env={"STAGE_PAUSE": phase})
    at(user, f"in {phase}")
    os.killpg(launch.pid, signal.SIGINT)
    code, said = end(launch)
    assert code == 130, said
    assert user.left() == []
    assert "attach" not in user.journal
    assert "Traceback" not in said
    if phase in HELD:
        made = {"open_site": "site made", "start_bottle": "bottle made"}.get(phase, phase)
        assert user.journal.index(f"in {phase}") <= user.journal.index(made) + 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_kill_while_the_agent_runs_takes_everything_down(user: User, number: signal.Signals, code: int) -> None:
    """S14: a kill or a lost terminal during the agent's run ends it and removes all."""
    launch = user.begin(*START, "--", "sleep", "60")
    at(user, "attach")
    launch.send_signal(number)
    found, said = end(launch)
    assert found == code, said
    assert user.left() == []


def test_two_signals_at_once_leave_nothing(user: User) -> None:
    """A second Ctrl-C right after the first cannot break into the way back."""
    launch = user.begin(*START, env={"STAGE_PAUSE": "ready"})
    at(user, "in ready")
    launch.send_signal(signal.SIGINT)
    launch.send_signal(signal.SIGTERM)
    code, said = end(launch)
    assert code in {130, 143}, said
    assert user.left() == []


def test_signals_wait_while_everything_is_removed(user: User) -> None:
    """S14: Ctrl-C and a kill during the way back are held back; the agent's own exit code stands."""
    launch = user.begin(*START, "--", "sh", "-c", "exit 9", env={"STAGE_PAUSE": "close site"})
    at(user, "in close site")
    launch.send_signal(signal.SIGINT)
    launch.send_signal(signal.SIGTERM)
    code, said = end(launch)
    assert code == 9, said
    assert user.left() == []


def test_a_third_ctrl_c_leaves_and_names_cleanup(user: User) -> None:
    """A way back that hangs can be left: the third Ctrl-C ends the program and says what to run."""
    launch = user.begin(*START, "--", "sleep", "60", env={"STAGE_FAIL": "close site", "STAGE_HOW": "hang"})
    at(user, "attach")
    launch.send_signal(signal.SIGINT)
    at(user, "close site")
    # Signals of one kind that wait at once are one signal to a process, so on a busy machine it may take more.
    for _ in range(2):
        assert launch.poll() is None
        launch.send_signal(signal.SIGINT)
        time.sleep(0.2)
    deadline = time.monotonic() + 20
    while launch.poll() is None and time.monotonic() < deadline:
        launch.send_signal(signal.SIGINT)
        time.sleep(0.5)
    code, said = end(launch)
    assert code == 130
    assert "left before everything was removed: run `bottle cleanup`" in said
    assert "claude-bottle-reviewer" in user.left()


def test_what_a_killed_launcher_leaves_is_found_and_removed(user: User) -> None:
    """S30: after kill -9 the launch's record is dead, listed by `cleanup`, and removed on a yes."""
    launch = user.begin(*START, "--", "sleep", "60")
    at(user, "attach")
    live = user.run("cleanup", "--dry-run")
    os.killpg(launch.pid, signal.SIGKILL)
    launch.communicate()
    assert "nothing is left over" in live.stderr
    dry = user.run("cleanup", "--dry-run")
    assert dry.returncode == 0
    folder, record = dry.stdout.splitlines()
    assert folder == f"stage: folder {user.runtime}/local/claude-bottle-reviewer"
    assert record.startswith("record of launch ")
    assert any(name.endswith(".json") for name in user.left())
    assert user.run("cleanup", "--yes").returncode == 0
    assert user.left() == []
    assert "nothing is left over" in user.run("cleanup", "--dry-run").stderr
