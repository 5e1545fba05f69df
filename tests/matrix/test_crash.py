"""A launcher that is killed on an engine: the agent ends by itself, and one command removes all the rest."""

import signal
import subprocess
import sys
import time

import pytest
from e2e_suicide import PHASES, SUICIDE
from e2e_user import User, wait_until
from matrix_pair import CONTAINED, Pair

from bottle_docker.labels import LAUNCH, ROLE, Mark
from bottle_docker.plugin import open_engine

pytestmark = pytest.mark.parametrize("pair", CONTAINED, indirect=True)
"""tests/e2e/test_crash.py has the embedded set."""

START = ("start", "reviewer", "--file", "bottle.yaml", "--yes")


def running(pid: int) -> list[str]:
    """Return the names of the agents' containers that run and that a process started."""
    found = open_engine().containers(f"{ROLE}=agent", stopped=False)
    return [it.name for it in found if (mark := Mark.read(it.labels)) is not None and mark.owner.pid == pid]


def left(pid: int) -> list[str]:
    """Return all that is on the engine of the launches of a process."""
    engine = open_engine()
    listed = [*engine.containers(LAUNCH), *engine.networks(LAUNCH), *engine.volumes(LAUNCH)]
    return [it.name for it in listed if (mark := Mark.read(it.labels)) is not None and mark.owner.pid == pid]


@pytest.mark.parametrize("where", PHASES)
def test_a_kill_at_any_phase_leaves_no_agent_and_cleanup_leaves_nothing(where: str, pair: Pair, user: User) -> None:
    """S14, S30: SIGKILL at the end of each phase of a launch, and of its removal."""
    words = [sys.executable, "-c", SUICIDE, "end", where, *START, "--", "true"]
    with subprocess.Popen(words, env=user.environment, cwd=user.work, stdout=subprocess.DEVNULL, stderr=-3) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert wait_until(lambda: running(process.pid) == []), running(process.pid)
    assert wait_until(lambda: cleaned(user, process.pid)), left(process.pid)
    assert user.bottle("cleanup", "--dry-run").err == "nothing is left over\n"


def cleaned(user: User, pid: int) -> bool:
    """Clean up: what the engine was still making when its client died comes a moment later."""
    assert user.bottle("cleanup", "--yes").code == 0
    return left(pid) == []


def test_what_runs_inside_ends_with_its_launcher(pair: Pair, user: User) -> None:
    """Without `--detach` the first process ends with the connection that was its stdin, and all others with it."""
    process = user.begin(*START, "--", "sh", "-c", "echo up; sleep 600")
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    assert len(running(process.pid)) == 1
    process.kill()
    process.communicate()
    begin = time.monotonic()
    assert wait_until(lambda: running(process.pid) == [])
    assert time.monotonic() - begin < 5
    assert wait_until(lambda: cleaned(user, process.pid)), left(process.pid)


def test_cleanup_leaves_the_living_alone(pair: Pair, user: User) -> None:
    """A bottle that runs goes on, whoever cleans up."""
    bottle = user.detached()
    assert user.bottle("cleanup", "--yes").code == 0
    assert bottle.exec("true").code == 0


def test_many_launches_of_one_agent_at_once_are_apart(pair: Pair, user: User) -> None:
    """S6: whatever is wanted by all at the same moment, names and subnets, each gets its own, and all of it goes."""
    processes = [user.begin(*START, "--", "id", "-un") for _ in range(5)]
    done = [process.communicate(timeout=100) for process in processes]
    assert [out for out, _ in done] == [b"agent\n"] * 5, done
    assert [left(process.pid) for process in processes] == [[]] * 5
