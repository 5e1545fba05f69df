"""Detached bottles: a supervisor holds them, and what it meets on the way up is told to whoever asked."""

import json
import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from core_harness import User, wait_until

DETACH = ("start", "reviewer", "--yes", "--detach", "--file", "bottle.yaml")


@pytest.fixture(autouse=True)
def no_bottle_is_left(user: User) -> Iterator[None]:
    """End what a failing test left running."""
    yield
    user.run("stop", "reviewer")
    wait_until("the end", lambda: not user.left())


def log_of(said: str) -> Path:
    """Return the supervisor's log, as the command names it."""
    found = re.search(r"messages go to (\S+)", said)
    assert found
    return Path(found[1])


def test_a_detached_bottle_runs_until_it_is_stopped(user: User) -> None:
    """The command returns once the bottle is up, with its name; `list`, `exec` and `attach` find it; `stop` ends it."""
    start = user.run(*DETACH)
    assert (start.returncode, start.stdout) == (0, "claude-bottle-reviewer\n")
    assert "it runs until `bottle stop claude-bottle-reviewer`" in start.stderr
    assert "tls intercept: CA SHA-256 " in start.stderr
    listing = user.run("list")
    assert listing.stdout.splitlines()[1].split()[:5] == [
        "claude-bottle-reviewer",
        "reviewer",
        "stage",
        "stageway",
        "running",
    ]
    ran = user.run("exec", "reviewer", "--", "sh", "-c", "echo $LOG_LEVEL; exit 3")
    assert (ran.returncode, ran.stdout) == (3, "debug\n")
    script = user.run("exec", "claude-bottle-reviewer", stdin="echo from a script; exit 4\n")
    assert (script.returncode, script.stdout) == (4, "from a script\n")
    attached = user.run("attach", "reviewer")
    assert (attached.returncode, attached.stdout) == (0, "agent runs with 0:\n")
    stop = user.run("stop", "reviewer")
    assert (stop.returncode, stop.stderr) == (0, "one branch came out\nstopped claude-bottle-reviewer\n")
    wait_until("the end", lambda: not user.left())
    assert "no bottle runs" in user.run("list").stderr
    assert user.run("stop", "reviewer").returncode == 1


def test_the_messages_of_a_killed_launch_go_with_what_it_left(user: User) -> None:
    """S30: a launch that ended by itself leaves its messages for whoever asks; of one that was killed nothing stays."""
    ended = log_of(user.run(*DETACH).stderr)
    user.run("stop", "reviewer")
    wait_until("the end of the log", lambda: stat.S_IMODE(ended.stat().st_mode) == 0o400)
    killed = log_of(user.run(*DETACH).stderr)
    assert user.run("cleanup", "--yes").returncode == 0
    assert (ended.exists(), killed.exists()) == (True, True)
    [record] = user.runtime.glob("launches/*.json")
    os.kill(json.loads(record.read_text())["owner"]["pid"], signal.SIGKILL)
    wait_until("the log", lambda: str(killed) in user.run("cleanup", "--dry-run").stdout)
    assert user.run("cleanup", "--yes").returncode == 0
    assert (ended.exists(), killed.exists()) == (True, False)


def test_its_messages_are_for_the_user_alone(user: User) -> None:
    """The supervisor has no terminal: its log has mode 0600 in a folder of 0700, and is named."""
    start = user.run(*DETACH)
    assert stat.S_IMODE(log_of(start.stderr).stat().st_mode) == 0o600
    assert stat.S_IMODE(log_of(start.stderr).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("step", "how", "message"),
    [
        ("open_site", "refuse", "error: open_site refused\n hint: the hint of the stage\n"),
        ("provision", "refuse", "error: provision refused\n hint: the hint of the stage\n"),
        ("look", "crash", "failed: RuntimeError: look crashed"),
    ],
)
def test_a_failure_on_the_way_up_is_told_as_it_was(user: User, step: str, how: str, message: str) -> None:
    """The command fails with the supervisor's own words, exit code 125, and nothing is left."""
    start = user.run(*DETACH, env={"STAGE_FAIL": step, "STAGE_HOW": how})
    assert start.returncode == 125
    assert message in start.stderr
    assert start.stdout == ""
    wait_until("the end", lambda: not user.left())


def test_a_command_of_its_own_ends_the_bottle(user: User) -> None:
    """With words the detached bottle lives as long as the command does."""
    assert user.run(*DETACH, "--", "sh", "-c", "sleep 0.3; touch done").returncode == 0
    wait_until("the end", lambda: "close site" in user.journal)
    assert (user.project / "done").exists()
    assert "collect" in user.journal


def test_ctrl_c_while_it_comes_up_takes_it_down(user: User) -> None:
    """Whoever changes their mind before the bottle is up gets none: exit code 130, and nothing is left."""
    start = user.begin(*DETACH, env={"STAGE_PAUSE": "open_site"})
    wait_until("the site", lambda: "in open_site" in user.journal)
    os.killpg(start.pid, signal.SIGINT)
    _, said = start.communicate(timeout=20)
    assert start.returncode == 130, said
    assert "Traceback" not in said
    assert user.left() == []
    assert "start_bottle" not in user.journal


def test_the_supervisor_outlives_its_terminal_s_signals(user: User) -> None:
    """A detached bottle is in a session of its own: the terminal's Ctrl-C and hang-up do not reach it."""
    assert user.run(*DETACH).returncode == 0
    listing = user.run("list", "--format", "json")
    pid = int(re.findall(r'"pid": (\d+)', listing.stdout)[0])
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGTERM)
    wait_until("the end", lambda: not user.left())


def test_the_death_of_the_proxy_ends_a_detached_bottle(user: User) -> None:
    """N14: without a way out nobody waits for a detached bottle: it is taken down, and the log says why."""
    start = user.run(*DETACH)
    pid = next(int(line.split()[1]) for line in user.journal if line.startswith("sidecar"))
    os.kill(pid, signal.SIGKILL)
    wait_until("the end", lambda: not user.left())
    assert "no way out any more" in log_of(start.stderr).read_text()
