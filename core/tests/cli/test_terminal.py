"""`bottle start` on a real terminal: the question, the secrets, the colours."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from core_harness import MANIFEST, Terminal, User, wait_until

Start = Callable[..., Terminal]
WARM = {"STAGE_WARM": "1"}


def test_a_yes_starts_and_approves(user: User, terminal: Start) -> None:
    """The plan, the question, the launch, the agent; the manifest is approved as it was read."""
    first = terminal("start", "reviewer")
    first.wait_for("start? [y/N]:")
    assert "tls intercept : stageway" in first.seen
    assert "bottle.yaml is new" in first.seen
    assert "open_site" not in user.journal
    first.type("y\n")
    assert first.finish() == 0
    assert "agent runs with 2: --prompt-file /prompt.md" in first.seen
    assert user.run("start", "reviewer", "--yes").returncode == 0


def test_a_yes_without_a_manifest_approves_none(user: User, terminal: Start) -> None:
    """What is written there later was never looked at."""
    (user.project / "bottle.yaml").unlink()
    first = terminal("start", "stagehand", "--backend", "stage", "--proxy", "stageway")
    first.wait_for("start? [y/N]:")
    assert "approved" not in first.seen
    first.type("y\n")
    assert first.finish() == 0
    assert not (user.state / "approved.json").exists()


@pytest.mark.parametrize("keys", ["n\n", "\n", "\x04"])
def test_anything_but_a_yes_is_a_no(user: User, terminal: Start, keys: str) -> None:
    """N is the default, also at the end of input: exit 1, nothing is made or approved, the warm process is gone."""
    asked = terminal("start", "reviewer", env=WARM)
    asked.wait_for("start? [y/N]:")
    assert len(user.left()) == 1
    asked.type(keys)
    assert asked.finish() == 1
    assert user.left() == []
    assert "open_site" not in user.journal
    assert user.run("start", "reviewer", "--yes").returncode == 125


def test_an_answer_that_is_neither_is_asked_again(terminal: Start) -> None:
    """A typo starts nothing."""
    asked = terminal("start", "reviewer")
    asked.wait_for("start? [y/N]:")
    asked.type("yess\n")
    asked.wait_for("invalid input")
    asked.type("n\n")
    assert asked.finish() == 1


def test_ctrl_c_at_the_question_ends_the_warm_process(user: User, terminal: Start) -> None:
    """Ctrl-C at the question: exit 130, no traceback, nothing is left."""
    asked = terminal("start", "reviewer", env=WARM)
    asked.wait_for("start? [y/N]:")
    time.sleep(0.3)  # as a person: in the first millisecond, before its read, input() keeps a signal for the next key
    asked.type("\x03")
    assert asked.finish() == 130
    assert "Traceback" not in asked.seen
    assert user.left() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_kill_at_the_question_ends_the_warm_process(user: User, terminal: Start, number: signal.Signals) -> None:
    """A kill or a closed terminal at the question leaves nothing behind either."""
    asked = terminal("start", "reviewer", env=WARM)
    asked.wait_for("start? [y/N]:")
    time.sleep(0.3)  # until it reads: between its last word and that, a signal waits for the next key
    os.kill(asked.process.pid, number)
    asked.finish()
    wait_until("the end of the warm process", lambda: user.left() == [], 5)


def test_secrets_are_asked_for_without_echo(user: User, terminal: Start) -> None:
    """S7, S18: the question is the manifest's, what is typed is never shown, and arrives inside."""
    user.manifest(MANIFEST.replace("LOG_LEVEL: debug", "S: {secret: Token of the forge}"))
    asked = terminal("start", "reviewer", "--", "sh", "-c", 'echo "length ${#S}"')
    asked.wait_for("start? [y/N]:")
    asked.type("y\n")
    asked.wait_for("Token of the forge:")
    asked.type("hunter2\n")
    assert asked.finish() == 0
    assert "length 7" in asked.seen
    assert "hunter2" not in asked.seen


def test_a_dry_run_never_asks_for_a_secret(user: User, terminal: Start) -> None:
    """A dry run on a terminal shows the name and ends."""
    user.manifest(MANIFEST.replace("LOG_LEVEL: debug", "S: {secret: Token}"))
    shown = terminal("start", "reviewer", "--dry-run")
    assert shown.finish() == 0
    assert "S (forwarded)" in shown.seen
    assert "Token" not in shown.seen


def test_ctrl_c_at_a_secret_starts_nothing(user: User, terminal: Start) -> None:
    """Ctrl-C at a secret's question: exit 130, and nothing is left."""
    user.manifest(MANIFEST.replace("LOG_LEVEL: debug", "S: {secret: Token}"))
    asked = terminal("start", "reviewer", "--yes", "--file", "bottle.yaml", env=WARM)
    asked.wait_for("Token:")
    asked.type("\x03")
    assert asked.finish() == 130
    assert user.left() == []
    assert "open_site" not in user.journal


def test_a_secret_that_a_terminal_has_cut_off_starts_nothing(user: User, terminal: Start) -> None:
    """A line has 4095 bytes there, and nobody would know of the rest; Ctrl-Z, after which shells echo, does nothing."""
    user.manifest(MANIFEST.replace("LOG_LEVEL: debug", "S: {secret: Token}"))
    asked = terminal("start", "reviewer", "--yes", "--file", "bottle.yaml")
    asked.wait_for("Token:")
    [ignored] = re.findall(r"^SigIgn:\t(\w+)$", Path(f"/proc/{asked.process.pid}/status").read_text(), re.MULTILINE)
    assert int(ignored, 16) & 1 << signal.SIGTSTP - 1
    asked.type("x" * 5000 + "\n")
    assert asked.finish() == 125
    assert "a terminal takes 4095 bytes of a line, and this has more" in asked.seen
    assert "open_site" not in user.journal


def test_a_second_look_is_quiet_about_an_approved_manifest(user: User, terminal: Start) -> None:
    """What was approved is not shown as new again; the question stays."""
    assert user.run("trust", "--yes").returncode == 0
    asked = terminal("start", "reviewer")
    asked.wait_for("start? [y/N]:")
    assert "is new" not in asked.seen
    asked.type("n\n")
    assert asked.finish() == 1


def test_colours_are_for_terminals_alone(user: User, terminal: Start) -> None:
    """`error:` has a colour on a terminal, and none in a pipe."""
    shown = terminal("start", "nobody", "--dry-run")
    assert shown.finish() == 1
    assert "\x1b[31merror:" in shown.seen
    assert "\x1b" not in user.run("start", "nobody", "--dry-run").stderr


def test_phases_are_shown_while_they_last_and_leave_no_trace(terminal: Start) -> None:
    """On a terminal the current phase is a line that is taken back before anything else is said."""
    shown = terminal("start", "reviewer", "--yes", "--file", "bottle.yaml", env={"STAGE_PAUSE": "ready"})
    shown.wait_for("· proxy ready …")
    assert shown.finish() == 0
    assert shown.seen.rpartition("· removing …")[2].startswith("\r\x1b[K")


def test_trust_asks_and_no_is_the_default(user: User, terminal: Start) -> None:
    """`bottle trust` shows what a manifest picks, and approves on a yes alone."""
    asked = terminal("trust")
    asked.wait_for("approve it? [y/N]:")
    assert "picks bottles.dev.backend: stage" in asked.seen
    asked.type("\n")
    assert asked.finish() == 1
    again = terminal("trust")
    again.wait_for("approve it? [y/N]:")
    again.type("y\n")
    assert again.finish() == 0
    assert user.run("trust").stderr == "bottle.yaml is approved already\n"


def test_cleanup_asks_and_no_is_the_default(user: User, terminal: Start) -> None:
    """S30: leftovers are listed, asked about and removed on a yes alone."""
    folder = user.leave("leftover-1")
    asked = terminal("cleanup")
    asked.wait_for("remove? [y/N]:")
    assert f"stage: folder {folder}" in asked.seen
    asked.type("\n")
    assert asked.finish() == 1
    assert user.left() == ["leftover-1"]
    again = terminal("cleanup")
    again.wait_for("remove? [y/N]:")
    again.type("y\n")
    assert again.finish() == 0
    assert user.left() == []
