"""A bottle's life, from any terminal: start, exec, attach, list, logs, allow, stop; its streams and its exit codes."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess

import pytest
from e2e_terminal import begin_at_terminal
from e2e_upstream import ALLOWED, OTHER, Internet
from e2e_user import User, wait_until

NAME = "claude-bottle-reviewer"
START = "bottle start reviewer --file bottle.yaml --yes"


@pytest.mark.parametrize("code", [0, 1, 7, 124, 255])
def test_the_exit_code_is_the_command_s(code: int, user: User) -> None:
    """What the command returns, `bottle start` returns."""
    assert user.start("sh", "-c", f"exit {code}").code == code


def test_exit_codes_of_our_own(user: User) -> None:
    """125 when a start or an exec fails itself, 1 in other commands and for a dry run with problems, 2 for usage."""
    assert user.start("no-such-program").code == 127
    assert user.start("/etc/passwd").code == 126
    assert user.start("sh", "-c", "kill -TERM $$").code == 128 + signal.SIGTERM
    assert user.bottle("start", "nobody", "--yes").code == 125
    assert user.bottle("start", "nobody", "--dry-run").code == 1
    assert user.bottle("exec", "nobody", "--", "true").code == 125
    assert user.bottle("stop", "nobody").code == 1
    assert user.bottle("start").code == 2
    assert user.bottle("start", "reviewer", "--format=json").code == 2


def test_an_output_that_nobody_reads_ends_the_command_quietly(user: User) -> None:
    """As by SIGPIPE in any pipe, and the bottle goes too; a disk that is full is told."""
    full = f"exec 3>/dev/full; {START} -- yes >&3; echo $?"
    done = user.in_shell(f"{START} -- yes | head -n 1; {full}")
    assert done.stdout == "y\n125\n"
    assert re.findall("^error: .*", done.stderr, re.MULTILINE) == [
        "error: the output cannot be written: No space left on device"
    ]
    assert user.listed() == []


def test_streams_are_apart_and_byte_for_byte(user: User) -> None:
    """Every byte of stdout arrives, none is added, and stderr has our own lines beside the command's."""
    script = "head -c 100000 /dev/urandom > /tmp/bytes; cat /tmp/bytes; sha256sum < /tmp/bytes >&2"
    done = user.start("sh", "-c", script)
    assert len(done.raw) == 100000
    assert hashlib.sha256(done.raw).hexdigest() in done.err
    empty = user.start("true")
    assert empty.raw == b""


@pytest.mark.parametrize("size", [0, 1, 65537, 20_000_000])
def test_stdin_of_any_size_arrives(size: int, user: User) -> None:
    """Stdin is passed on to its end, and then closed."""
    data = random.Random(size).randbytes(size)
    done = user.start("sha256sum", stdin=data)
    assert done.out.split()[0] == hashlib.sha256(data).hexdigest()


def test_a_script_on_stdin_is_the_agent_s(user: User) -> None:
    """S5: without a command the agent gets stdin; exec without one runs it as a script, which never crosses argv."""
    assert user.start(stdin="echo one; exit 3").out == "one\n"
    bottle = user.detached()
    done = bottle.sh("echo two; cat /proc/$$/cmdline | tr '\\0' ' '; exit 4")
    assert (done.code, done.out) == (4, "two\n/bin/sh -s ")


def test_no_question_without_a_terminal(user: User) -> None:
    """Without `--yes` and without a terminal a start is an error that says so; nothing is launched."""
    done = user.bottle("start", "reviewer", "--file", "bottle.yaml")
    assert done.code == 125
    assert "no terminal" in done.err
    assert user.listed() == []


def test_a_manifest_is_approved_once(user: User) -> None:
    """`--yes` accepts no manifest that nobody approved, and asks again after a change."""
    refused = user.bottle("start", "reviewer", "--yes", "--", "true")
    assert (refused.code, "bottle.yaml, which is new" in refused.err) == (125, True)
    assert user.bottle("trust", "--yes").code == 0
    assert user.bottle("start", "reviewer", "--yes", "--", "true").code == 0
    user.manifest({"egress": {"allowlist": ["example.com"], "dlp_action": "warn"}})
    changed = user.bottle("start", "reviewer", "--yes", "--", "true")
    assert (changed.code, "which is changed" in changed.err) == (125, True)
    assert "loosens bottles.dev.egress.dlp_action: warn" in changed.err


def test_no_is_the_default_answer(user: User) -> None:
    """At a terminal the question stands after the preflight; Enter is a no, exit 1, and nothing was launched."""
    text, code = at_terminal(user, [b"\r"], "start", "reviewer")
    assert ": mitmproxy (per-bottle ephemeral CA, generated at launch)" in text.partition("[y/N]")[0]
    assert (code, "[y/N]" in text, "not started" in text) == (1, True, True)
    assert user.events() == []


def test_a_yes_starts_the_agent_in_the_terminal(user: User) -> None:
    """After a yes the agent has the terminal; a dry run and `--yes` need no approval after it."""
    text, code = at_terminal(user, [b"y\r", b"tty; exit 5\r"], "start", "reviewer")
    assert (code, "/dev/pts/" in text) == (5, True)
    assert user.bottle("start", "reviewer", "--yes", "--", "true").code == 0


def at_terminal(
    user: User, lines: list[bytes], *words: str, prompts: tuple[bytes, ...] = (b"[y/N]", b"$ ")
) -> tuple[str, int]:
    """Run a command at a terminal, type a line at each prompt, and return what was shown and the exit code."""
    process, ours = begin_at_terminal(user, *words)
    shown, awaited = b"", list(prompts)
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # nobody has the terminal open any more
            break
        if lines and awaited[0] in shown[-200:]:
            awaited.pop(0)
            os.write(ours, lines.pop(0))
    os.close(ours)
    return shown.decode(), process.wait(20)


def test_a_detached_bottle_is_run_from_other_terminals(user: User) -> None:
    """S32: `list` shows it, `exec` and `attach` run in it, `stop` ends it, and then nothing of it is left."""
    bottle = user.detached()
    assert bottle.name == NAME
    [row] = user.listed()
    assert (row["name"], row["agent"], row["backend"], row["proxy"]) == (NAME, "reviewer", "bwrap", "mitmproxy")
    assert (row["state"], row["detached"]) == ("running", True)
    assert bottle.exec("id", "-un").out == "agent\n"
    bottle.sh("echo kept > /tmp/file")
    attached = user.bottle("attach", "reviewer", stdin="cat /tmp/file; exit 6")
    assert (attached.code, attached.out) == (6, "kept\n")
    assert user.bottle("stop", "reviewer").code == 0
    assert user.listed() == []
    assert user.bottle("stop", "reviewer").code == 1
    assert wait_until(lambda: not list((user.run / "claude-bottle").rglob("*reviewer*")))


def test_attach_has_a_terminal_of_its_own(user: User) -> None:
    """From another terminal `attach` is one inside too, in the same bottle, which goes on when it is left."""
    bottle = user.detached()
    bottle.sh("echo kept > /tmp/file")
    text, code = at_terminal(user, [b"tty; cat /tmp/file; exit 6\r"], "attach", "reviewer", prompts=(b"$ ",))
    assert (code, "/dev/pts/" in text, "\nkept\r\n" in text) == (6, True, True)
    assert [row["name"] for row in user.listed()] == [bottle.name]


def test_a_detached_command_ends_its_bottle(user: User) -> None:
    """With a command a detached bottle lives as long as that, and no longer."""
    user.start("sh", "-c", "while [ ! -e /tmp/end ]; do sleep 0.05; done", options=("--detach",))
    assert [row["name"] for row in user.listed()] == [NAME]
    assert user.bottle("exec", "reviewer", "--", "touch", "/tmp/end").code == 0
    assert wait_until(lambda: user.listed() == [])


def test_a_bottle_in_the_foreground_is_seen_from_other_terminals(user: User) -> None:
    """S32: so is one that somebody sits in front of, and stopping it there ends the command here."""
    process = user.begin("start", "reviewer", "--file", "bottle.yaml", "--yes", "--", "sleep", "60")
    assert wait_until(lambda: [row["state"] for row in user.listed()] == ["running"])
    assert user.bottle("exec", "reviewer", "--", "true").code == 0
    assert user.bottle("stop", "reviewer").code == 0
    process.communicate(timeout=20)
    assert process.returncode != 0
    assert user.listed() == []


def test_logs_follow_a_bottle_to_its_end(user: User) -> None:
    """`logs -f` shows each decision when it is made, and ends with the bottle."""
    bottle = user.detached()
    process = user.begin("logs", "reviewer", "-f", "--format", "json")
    assert process.stdout is not None
    bottle.exec("curl", "-s", f"https://{ALLOWED}/one")
    assert json.loads(process.stdout.readline())["path"] == "/one"
    bottle.exec("curl", "-s", f"https://{ALLOWED}/two")
    assert json.loads(process.stdout.readline())["path"] == "/two"
    assert process.poll() is None
    user.bottle("stop", "reviewer")
    rest, _ = process.communicate(timeout=20)
    assert (rest, process.returncode) == (b"", 0)


def test_allow_opens_a_host_of_a_running_bottle(user: User) -> None:
    """A host that was refused answers at once after `allow`, and the manifest stays as it is."""
    bottle = user.detached()
    request = ("curl", "-s", f"https://{OTHER}/")
    assert bottle.exec(*request).code == 56
    assert user.bottle("allow", "reviewer", OTHER).code == 0
    assert bottle.exec(*request).out == f"hello from {OTHER}\n"
    assert OTHER not in (user.work / "bottle.yaml").read_text()
    assert user.bottle("allow", "reviewer", "not a host").code == 1
    assert user.bottle("allow", "nobody", OTHER).code == 1


def test_allow_can_be_saved(user: User) -> None:
    """`--save` writes the line into the manifest, keeps the rest of it, and its approval is asked for again."""
    text = "version: 1\n# a comment\nbottles:\n  dev:\n    egress:\n      allowlist: [example.com]\nagents:\n"
    (user.work / "bottle.yaml").write_text(text + "  reviewer: {bottle: dev, agent: shell}\n")
    user.environment |= {"CLAUDE_BOTTLE_BACKEND": "bwrap", "CLAUDE_BOTTLE_PROXY": "mitmproxy"}
    user.bottle("trust", "--yes")
    user.detached()
    done = user.bottle("allow", "reviewer", OTHER, "--save")
    assert done.code == 0, done.err
    saved = (user.work / "bottle.yaml").read_text()
    assert "# a comment" in saved
    assert OTHER in json.loads(user.bottle("start", "reviewer", "--dry-run", "--format=json").out)["egress"]["hosts"]
    assert user.bottle("start", "reviewer", "--yes", "--", "true").code == 125


def test_control_c_takes_everything_down(user: User, internet: Internet) -> None:
    """An interrupt ends the command and the launch in order: exit 130, the record stays, nothing else does."""
    script = f"curl -s https://{ALLOWED}/begun; sleep 60"
    process = user.begin("start", "reviewer", "--file", "bottle.yaml", "--yes", "--", "sh", "-c", script)
    assert wait_until(lambda: any(seen.target == "/begun" for seen in internet.seen))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert user.listed() == []
    assert [path for path in user.run.rglob("*") if not path.is_dir()] == []
    assert [event["path"] for event in user.events()] == ["/begun"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_kill_takes_everything_down(number: int, user: User) -> None:
    """So do the signals by which a session ends."""
    process = user.begin("start", "reviewer", "--file", "bottle.yaml", "--yes", "--", "sleep", "60")
    assert wait_until(lambda: [row["state"] for row in user.listed()] == ["running"])
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert [path for path in user.run.rglob("*") if not path.is_dir()] == []


def test_two_bottles_of_one_agent_have_two_names(user: User) -> None:
    """S11, S21: the second is `-2`; its name ends in the agent's slug and its number, and both are there at once."""
    assert [user.detached().name, user.detached().name] == [NAME, f"{NAME}-2"]
    ambiguous = user.bottle("stop", "reviewer")
    assert (ambiguous.code, "several bottles of reviewer run" in ambiguous.err) == (1, True)
    assert user.bottle("stop", NAME).code == 0
    assert user.detached().name == NAME


def test_two_bottles_cannot_reach_each_other(user: User) -> None:
    """N17: a listener of one bottle, at any of its addresses, is not there for the other; a file is not either."""
    one, two = user.detached(), user.detached()
    listen = "import socket, time\nwith socket.create_server(('', 4444)): print('up', flush=True); time.sleep(30)"
    process = user.begin("exec", one.name, "--", "python3", "-c", listen)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    dial = "import socket; socket.create_connection(('127.0.0.1', 4444), 2); print('reached')"
    assert one.exec("python3", "-c", dial).out == "reached\n"
    assert "refused" in two.exec("python3", "-c", dial).err
    one.sh("echo mine > /tmp/file; echo mine > /dev/shm/file; echo mine > ~/file")
    assert two.sh("ls /tmp/file /dev/shm/file ~/file").out == ""
    process.kill()
    process.communicate()


def test_many_at_once_have_a_name_each(user: User) -> None:
    """S11: launches that race for one name get one each."""
    words = ("start", "reviewer", "--file", "bottle.yaml", "--yes", "--", "sh", "-c", "echo up; read line")
    processes = [user.begin(*words, stderr=subprocess.DEVNULL) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
    assert {row["name"] for row in user.listed()} == {NAME, *(f"{NAME}-{number}" for number in (2, 3, 4))}
    for process in processes:
        process.communicate(b"\n", timeout=30)
    assert user.listed() == []


def test_timings_and_debug(user: User) -> None:
    """`--timings` says how long each phase took, `--debug` where a failure came from that is otherwise a line."""
    shown = user.start("true", options=("--timings",)).err
    assert [phase for phase in ("site", "proxy ready", "proof", "removing", "sum") if phase not in shown] == []
    assert "Traceback" not in user.bottle("stop", "nobody").err
    assert "Traceback" in user.bottle("stop", "nobody", "--debug").err
