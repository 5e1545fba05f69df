"""While a bottle runs: what the proxy decides is written down, its death is told, other hosts can be opened."""

import os
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest
from core_harness import ASK, wait_until
from core_stage import Stage

from claude_bottle.errors import BottleError, UnavailableError
from claude_bottle.launch.control import AllowRequest, ask_launcher
from claude_bottle.launch.evidence import find_evidence, read_events
from claude_bottle.launch.launch import Running, explain
from claude_bottle.launch.record import dead_labels, live_records


def dial(running: Running, host: str) -> None:
    """Ask the proxy for a host."""
    assert running.bottle.exec("", argv=[sys.executable, "-c", ASK, host]).returncode == 0


def seen(running: Running, count: int) -> None:
    """Wait until the proxy's words have arrived."""
    wait_until(f"{count} events", lambda: len(running.events) >= count)


def test_decisions_are_written_down_for_the_user_alone(stage: Stage) -> None:
    """Each decision is a line of a file with mode 0600 that stays; core's own probe is none of the agent's."""

    def body(running: Running) -> None:
        dial(running, "one.example")
        dial(running, "two.example")
        seen(running, 2)

    stage.launch(body)
    path = find_evidence("reviewer")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    events = list(read_events(path.read_bytes().splitlines()))
    assert [(event.host, event.bottle, event.verdict) for event in events] == [
        ("one.example", "claude-bottle-reviewer", "deny"),
        ("two.example", "claude-bottle-reviewer", "deny"),
    ]


def test_the_death_of_the_proxy_is_told_at_once(stage: Stage) -> None:
    """N14: a proxy that ends while the agent runs leaves no way out, and the user hears of it once."""

    def body(running: Running) -> None:
        pid = next(int(line.split()[1]) for line in stage.user.journal if line.startswith("sidecar"))
        os.kill(pid, signal.SIGKILL)
        assert running.watch.ended.wait(5)
        wait_until("the warning", lambda: any("no way out" in line for line in stage.said))
        [cause] = explain(stage.prepared(), running, 1)
        assert (cause.message, cause.hint) == ("the proxy ended, and with it the bottle's way out", "start it again")
        assert explain(stage.prepared(), running, 0) == []

    stage.launch(body)
    assert [line for line in stage.said if "warning" in line] == [
        "warning: the proxy ended (exit code -9): this bottle has no way out any more"
    ]
    assert stage.user.left() == []


@pytest.mark.parametrize("how", ["refuse", "crash", "system", "exit"])
def test_events_that_end_are_told(stage: Stage, how: str) -> None:
    """Whatever keeps the proxy's decisions from being recorded, the user hears that it does."""
    stage.set(fail="event", how=how)

    def body(running: Running) -> None:
        wait_until("the warning", lambda: any("no longer recorded" in line for line in stage.said))

    stage.launch(body)
    assert stage.user.left() == []


def test_a_host_is_opened_while_the_bottle_runs(stage: Stage) -> None:
    """`bottle allow`: the proxy is given all rules, the new one at `dlp_action`; a known one is no change."""

    def body(running: Running) -> None:
        [record] = live_records()
        assert stat.S_IMODE(record.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(record.socket.parent.stat().st_mode) == 0o700
        ask_launcher(record.socket, AllowRequest("New.Example:8443"))
        ask_launcher(record.socket, AllowRequest("new.example:8443"))
        ask_launcher(record.socket, AllowRequest("agent.example:9000"))

    stage.launch(body)
    rules = [line for line in stage.user.journal if line.startswith("rule ")]
    assert rules == [
        "rule agent.example opaque block 80,443 the agent",
        "rule api.example.com block block 80,443 dlp_action",
        "rule new.example block block 8443 bottle allow",
        "rule agent.example opaque block 80,443,9000 the agent",
        "rule api.example.com block block 80,443 dlp_action",
        "rule new.example block block 8443 bottle allow",
    ]


@pytest.mark.parametrize("how", ["refuse", "crash", "system", "exit"])
def test_a_reload_that_fails_is_told_and_opens_nothing(stage: Stage, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`bottle allow` with a proxy that fails says so; the rules stay, and the next request is heard as before."""

    def body(running: Running) -> None:
        [record] = live_records()
        stage.set(fail="reload", how=how)
        with pytest.raises(BottleError, match=r"reload|launch failed"):
            ask_launcher(record.socket, AllowRequest("first.example"))
        monkeypatch.delenv("STAGE_FAIL")
        ask_launcher(record.socket, AllowRequest("second.example"))

    stage.launch(body)
    assert not any("first.example" in line for line in stage.user.journal)
    assert stage.user.left() == []


def test_a_proxy_that_cannot_reload_says_what_to_do(stage: Stage) -> None:
    """A proxy whose rules are fixed is an error with a way on."""
    stage.set(reload="no")

    def body(running: Running) -> None:
        [record] = live_records()
        with pytest.raises(BottleError) as refusal:
            ask_launcher(record.socket, AllowRequest("new.example"))
        assert refusal.value.hint == "stop the bottle, and start it again"

    stage.launch(body)


@pytest.mark.parametrize("host", ["", "https://x.example", "*", "x.example\0", "a b"])
def test_what_is_no_host_is_refused_by_the_launcher_too(stage: Stage, host: str) -> None:
    """N4: the launcher checks a host itself, whoever asks."""

    def body(running: Running) -> None:
        [record] = live_records()
        with pytest.raises(BottleError):
            ask_launcher(record.socket, AllowRequest(host))

    stage.launch(body)
    assert "reload" not in stage.user.journal


def test_noise_on_the_socket_is_answered_and_hurts_nobody(stage: Stage) -> None:
    """What is no request gets an answer that says so, and the next one is served."""

    def body(running: Running) -> None:
        [record] = live_records()
        for noise in (b"\xff\0noise", b"{}", b"[]"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
                peer.connect(str(record.socket))
                peer.send(noise)
                assert b"not understood" in peer.recv(4096)
        ask_launcher(record.socket, AllowRequest("new.example"))

    stage.launch(body)


def test_a_launcher_that_is_gone_is_told(tmp_path: Path) -> None:
    """A socket that nobody listens on is an error with a hint."""
    with pytest.raises(UnavailableError, match="the launcher does not answer"):
        ask_launcher(tmp_path / "gone.sock", AllowRequest("new.example"))


def test_a_live_record_is_not_dead(stage: Stage) -> None:
    """S30: while a launch runs its record is alive, and nothing of it is listed for cleanup."""

    def body(running: Running) -> None:
        assert [it.label for it in live_records()] == [running.launch.label]
        assert dead_labels() == []

    stage.launch(body)
    assert list(live_records()) == []
