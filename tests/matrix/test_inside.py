"""What a bottle is for: commands, a terminal, a repository in and out; and then nothing of it is left."""

import fcntl
import os
import struct
import subprocess
import termios
from collections.abc import Callable

from e2e_terminal import begin_at_terminal
from e2e_traces import command_line, processes, read
from e2e_upstream import ALLOWED
from e2e_user import Bottle, User
from matrix_pair import Pair

from bottle_docker.labels import LAUNCH, Mark
from bottle_docker.plugin import open_engine

START = ("start", "reviewer", "--file", "bottle.yaml", "--yes")
SCRIPT = f"stty size; curl -s https://{ALLOWED}/; read word; echo got $word; exit 7"


def test_a_command_has_its_input_output_and_code(bottle: Bottle) -> None:
    """Every byte in both directions, the two outputs apart, and the exit code."""
    data = os.urandom(1 << 20)
    done = bottle.exec("sh", "-c", "cat; echo said >&2; exit 3", stdin=data)
    assert (done.code, done.raw == data, done.err) == (3, True, "said\n")


def test_an_agent_has_a_terminal(user: User) -> None:
    """With its size and what is typed at it, and the network is there for it."""
    process, terminal = begin_at_terminal(user, *START, "--", "sh", "-c", SCRIPT)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 31, 97, 0, 0))
    shown = read_to(terminal, f"hello from {ALLOWED}")
    assert "31 97" in shown
    os.write(terminal, b"word\n")
    assert "got word" in read_to(terminal, "got word")
    read_to(terminal, "\0never")
    assert process.wait(60) == 7
    os.close(terminal)


def read_to(terminal: int, text: str) -> str:
    """Return what is shown up to a text, or all of it."""
    shown = ""
    while text not in shown:
        try:
            shown += os.read(terminal, 4096).decode("utf-8", "replace")
        except OSError:  # nobody has the other end any more
            return shown
    return shown


def test_a_repository_goes_in_and_a_branch_comes_out(user: User, needs: Callable[[str], None]) -> None:
    """What the agent commits is a branch of the user's repository, and nothing else of that changes."""
    needs("git")
    (user.home / ".gitconfig").write_text("[user]\n\tname = Ann\n\temail = ann@example.com\n")
    (user.work / "bottle.yaml").rename(user.config / "bottle.yaml")
    (user.work / "file").write_text("before\n")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "first")):
        git(user, *words)
    script = "cat file; echo after >file; git commit -qam inside"
    done = user.bottle("start", "reviewer", "--cwd", "--yes", "--", "sh", "-c", script)
    assert (done.code, done.out) == (0, "before\n"), done.err
    assert git(user, "show", "bottle/reviewer:file") == "after\n"
    assert (user.work / "file").read_text() == "before\n"


def git(user: User, *words: str) -> str:
    """Run git as that user does."""
    done = subprocess.run(["git", *words], cwd=user.work, env=user.environment, capture_output=True, check=True)
    return done.stdout.decode()


def test_nothing_of_a_bottle_is_left(pair: Pair, user: User) -> None:
    """S14: however the agent ended, no process, socket, container, network or volume of the launch is there."""
    process = user.begin(*START, "--", "sh", "-c", "exit 9")
    process.communicate(timeout=100)
    assert process.returncode == 9
    assert user.listed() == []
    assert [path for path in user.run.rglob("*") if not path.is_dir()] == []
    marker = f"XDG_RUNTIME_DIR={user.run}".encode()
    assert [command_line(path) for path in processes() if marker in read(path / "environ")] == []
    if pair.contained:
        engine = open_engine()
        for listed in (engine.containers(LAUNCH), engine.networks(LAUNCH), engine.volumes(LAUNCH)):
            marks = [mark for it in listed if (mark := Mark.read(it.labels))]
            assert [mark for mark in marks if mark.owner.pid == process.pid] == []
