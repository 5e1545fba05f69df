"""However a launch ends, nothing of it stays: killed at any phase, asked to end, or done."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from e2e_user import Bottle, User, wait_until

SLEEP = ("sleep", "7654321")
DELAYS = (0.05, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.8)
"""Seconds from the start, over plan, proxy, sandbox, readiness, proof and the command itself."""


def related(user: User) -> list[str]:
    """Return the processes that have this user's folders in their environment, or our command as theirs."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (path / "environ").read_bytes(), (path / "cmdline").read_bytes()
        except OSError:
            continue
        if int(path.name) != os.getpid() and (str(user.folder).encode() in environment or SLEEP[1].encode() in command):
            found.append(f"{path.name} {command!r}")
    return found


def children_of(pid: int) -> set[int]:
    """Return every process below one, as it is now."""
    below: set[int] = set()
    parents = {pid}
    while parents:
        found = set[int]()
        for parent in parents:
            for task in Path(f"/proc/{parent}/task").glob("*/children"):
                try:
                    found |= {int(word) for word in task.read_text().split()}
                except OSError:
                    continue
        parents = found - below
        below |= found
    return below


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def begin(user: User) -> "subprocess.Popen[bytes]":
    """Start a launch whose command would run for ever."""
    return user.begin("start", "reviewer", "--file", "bottle.yaml", "--yes", "--", *SLEEP, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("delay", DELAYS)
def test_a_killed_launch_leaves_no_process_and_cleanup_no_file(user: User, delay: float) -> None:
    """S30: SIGKILL of the launcher at any phase ends what runs inside; cleanup removes all but the events."""
    process = begin(user)
    time.sleep(delay)
    below = children_of(process.pid)
    process.kill()
    process.communicate(timeout=20)
    assert wait_until(lambda: not any(alive(pid) for pid in below)), related(user)
    assert wait_until(lambda: not related(user)), related(user)
    assert user.bottle("cleanup", "--yes").code == 0
    left = [path for path in (*user.run.rglob("*"), *user.state.rglob("*")) if path.is_file() or path.is_socket()]
    assert [path for path in left if path.parent.name != "events"] == []
    assert user.bottle("cleanup", "--yes").err.strip() == "nothing is left over"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("delay", [0.35, 0.9])
def test_a_signal_ends_a_launch_in_order(user: User, number: signal.Signals, delay: float) -> None:
    """S14: the way back runs to its end, and the exit code names the signal."""
    process = begin(user)
    time.sleep(delay)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode in {128 + number, -number}
    assert wait_until(lambda: not related(user)), related(user)
    assert [path for path in user.run.rglob("*") if path.is_file() or path.is_socket()] == []


def test_the_way_out_is_refused_logged_and_summed_up(user: User) -> None:
    """S5, S33: a host that nobody allowed is a 403 that is told at the end, and on record with its cure."""
    done = user.start("curl", "-sS", "https://refused.e2e.test/")
    assert done.code == 56
    assert "CONNECT tunnel failed, response 403" in done.err
    assert "refused.e2e.test is not in this bottle's egress allowlist" in done.err
    (event,) = [event for event in user.events() if event["verdict"] == "deny"]
    assert (event["host"], event["rule"]) == ("refused.e2e.test", "allowlist")
    assert event["fix"] == "bottle allow reviewer refused.e2e.test"


def test_a_host_is_opened_while_the_bottle_runs(user: User) -> None:
    """`bottle allow` needs no restart, and `--save` writes the line into the manifest."""
    bottle: Bottle = user.detached()
    assert "response 403" in bottle.exec("curl", "-sS", "https://opened.e2e.test/").err
    assert user.bottle("allow", "reviewer", "opened.e2e.test", "--save").code == 0
    assert "response 403" not in bottle.exec("curl", "-sS", "https://opened.e2e.test/").err
    assert "opened.e2e.test" in (user.work / "bottle.yaml").read_text()
    assert [row["name"] for row in user.listed()] == [bottle.name]
    assert user.bottle("stop", bottle.name).code == 0
    assert user.listed() == []


def test_two_launches_of_one_agent_take_two_names(user: User) -> None:
    """S11, S32: the second bottle moves on to the next name, and both are listed."""
    names = [user.detached().name for _ in range(2)]
    assert names == ["claude-bottle-reviewer", "claude-bottle-reviewer-2"]
    assert [row["name"] for row in user.listed()] == names


def test_streams_pass_byte_for_byte(user: User) -> None:
    """S5: stdout is the command's alone, stdin may be of any size, and the exit code is the command's."""
    data = os.urandom(20 << 20)
    done = user.start("cat", stdin=data)
    assert done.raw == data
    assert user.start("sh", "-c", "exit 7").code == 7


def test_a_forwarded_value_is_found_nowhere_but_inside(user: User) -> None:
    """S7, S10, S12: not in any file of the user's, nor in the environment or arguments of our processes."""
    canary = "canary-" + os.urandom(12).hex()
    user.manifest({"env": {"TOKEN": "${HOST_TOKEN}"}})
    done = user.start(options=("--detach",), env={"HOST_TOKEN": canary})
    name = done.out.strip()
    try:
        assert user.bottle("exec", name, "--", "printenv", "TOKEN").out.strip() == canary
        files = [path for path in user.folder.rglob("*") if path.is_file()]
        assert [path for path in files if canary in path.read_text("utf-8", "replace")] == []
        (user.work / "planted").write_text(canary)
        assert canary in (user.work / "planted").read_text()
        assert canary not in done.err + user.bottle("logs", "reviewer").out
        (row,) = user.listed()
        for pid in {row["pid"], *children_of(row["pid"])}:
            assert canary.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    finally:
        user.bottle("stop", name)
