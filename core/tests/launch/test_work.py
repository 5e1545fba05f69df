"""Work comes out before anything is removed, however a launch ends; what cannot come out keeps the bottle."""

import signal
import threading
from collections.abc import Callable

import pytest
from core_harness import User, wait_until
from core_stage import Stage

from claude_bottle.errors import BottleError
from claude_bottle.launch.control import CompareRequest, DiscardRequest, PullRequest, ask_launcher
from claude_bottle.launch.launch import Running
from claude_bottle.launch.record import live_records

FILE = ("--file", "bottle.yaml")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_work_comes_out_also_after_a_signal(user: User, number: int) -> None:
    """Ctrl-C, a kill and a terminal that is gone end the agent, not what it has done."""
    process = user.begin("start", "reviewer", "--yes", *FILE, "--", "sh", "-c", "echo up; exec sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert "one branch came out\n" in said
    assert user.journal.index("collect") < user.journal.index("stop bottle")
    assert user.left() == []


def test_another_terminal_brings_it_out(stage: Stage) -> None:
    """`bottle pull` is answered by the launch itself, as often as it is asked."""

    def body(_running: Running) -> None:
        [record] = live_records()
        for _ in range(2):
            assert ask_launcher(record.socket, PullRequest()) == b"one branch came out\n"
        assert ask_launcher(record.socket, CompareRequest()) == b""

    stage.launch(body)
    assert stage.user.journal.count("collect") == 3


@pytest.mark.parametrize("how", ["refuse", "crash", "system", "exit"])
def test_what_cannot_come_out_keeps_the_bottle(stage: Stage, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is told with what to do; a pull that fails says why, one that works lets the bottle go."""
    running: list[Running] = []

    def retry() -> None:
        wait_until("the bottle to be kept", lambda: any("is kept" in line for line in stage.said))
        [record] = live_records()
        with pytest.raises(BottleError, match=r"collect|SystemExit"):
            ask_launcher(record.socket, PullRequest())
        assert running[0].bottle.state == "running"
        monkeypatch.delenv("STAGE_FAIL")
        ask_launcher(record.socket, PullRequest())

    thread = outcome_of(retry)
    stage.set(fail="collect", how=how)
    stage.launch(running.append)
    thread()
    assert not running[0].lost.is_set()
    assert stage.user.left() == []


def test_it_can_be_given_up(stage: Stage) -> None:
    """With `--discard` nothing is asked of it any more, and nothing keeps the bottle."""

    def discard() -> None:
        wait_until("the bottle to be kept", lambda: any("is kept" in line for line in stage.said))
        [record] = live_records()
        ask_launcher(record.socket, DiscardRequest())

    thread = outcome_of(discard)
    stage.set(fail="collect")
    stage.launch()
    thread()
    assert stage.user.left() == []


def test_one_more_signal_gives_it_up_and_is_125(user: User) -> None:
    """Whoever presses Ctrl-C at a kept bottle has seen what it costs: it goes, and the exit code is ours."""
    process = user.begin("start", "reviewer", "--yes", *FILE, "--", "true", env={"STAGE_FAIL": "collect"})
    assert process.stderr is not None
    shown = ""
    while "as does Ctrl-C" not in shown:
        shown += process.stderr.readline()
    assert "error: collect" in shown
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, "given up" in said) == (125, True)
    assert user.left() == []


def test_stop_brings_work_out_first(user: User) -> None:
    """A stop that cannot is an error and the bottle goes on; with `--discard` it ends."""
    assert user.run("start", "reviewer", "--yes", *FILE, "--detach").returncode == 0
    stopped = user.run("stop", "reviewer")
    assert (stopped.returncode, "one branch came out\n" in stopped.stderr) == (0, True)
    user.run("start", "reviewer", "--yes", *FILE, "--detach", env={"STAGE_FAIL": "collect"})
    failed = user.run("stop", "reviewer")
    assert (failed.returncode, "stop --discard" in failed.stderr) == (1, True)
    assert "reviewer" in user.run("list").stdout
    assert user.run("stop", "--discard", "reviewer").returncode == 0
    wait_until("all to be removed", lambda: user.left() == [])


def test_pull_and_diff_say_what_there_is(user: User) -> None:
    """Both name a bottle as every command does; nothing to show is said."""
    user.run("start", "reviewer", "--yes", *FILE, "--detach")
    assert user.run("pull", "reviewer").stderr == "one branch came out\n"
    shown = user.run("diff", "reviewer")
    assert (shown.returncode, shown.stdout, "nothing new" in shown.stderr) == (0, "", True)
    user.run("stop", "reviewer")
    assert user.run("pull", "reviewer").returncode == 1


def outcome_of(run: Callable[[], None]) -> Callable[[], None]:
    """Run something in a thread; what is returned waits for it and raises what it raised."""
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            failed.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()

    def wait() -> None:
        thread.join(20)
        if failed:
            raise failed[0]

    return wait
