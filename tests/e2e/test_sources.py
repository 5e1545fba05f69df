"""Where the value of a secret comes from: the command line, the user's own command, the keyring, the terminal."""

import os
import secrets
import select
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from e2e_keyring import NOWHERE, give_keyring, put
from e2e_terminal import begin_at_terminal
from e2e_user import User

PRINT = ("sh", "-c", 'printf "%s|%s" "$ONE" "$TWO"')


@pytest.fixture
def value() -> str:
    """A value that no pattern of credentials knows."""
    return f"canary{secrets.token_hex(12)}"


@pytest.fixture
def keeper(user: User) -> User:
    """Somebody with a real keyring, which is a file."""
    give_keyring(user)
    return user


def manifest(user: User, **env: Mapping[str, Any]) -> None:
    """Write a manifest with these secrets."""
    user.manifest({"env": env})


def configure(user: User, more: str) -> None:
    """Add to a user's `config.yaml`."""
    path = user.config / "config.yaml"
    path.write_text(path.read_text() + more)


def test_the_keyring_gives_it(keeper: User, value: str) -> None:
    """By SERVICE/NAME; the preflight names the entry, never the value."""
    put(keeper, "my service", "some/name", value)
    manifest(keeper, ONE={"secret": "one", "keyring": "my service/some/name"})
    done = keeper.start(*PRINT, options=("--debug",))
    assert done.out == f"{value}|"
    assert "ONE (keyring my service/some/name)" in done.err
    assert value not in done.err


def test_the_first_source_wins(keeper: User, value: str) -> None:
    """`--secret-file`, then the command in config.yaml, then the manifest's keyring entry."""
    put(keeper, "s", "n", "from the keyring")
    entry = {"secret": "one", "keyring": "s/n"}
    manifest(keeper, ONE=entry, TWO=entry)
    configure(keeper, "secrets:\n  ONE: {command: [echo, from a command]}\n")
    assert keeper.start(*PRINT).out == "from a command|from the keyring"
    (keeper.home / "file").write_text(value)
    done = keeper.start(*PRINT, options=("--secret-file", f"ONE={keeper.home / 'file'}"))
    assert done.out == f"{value}|from the keyring"


def test_a_command_has_our_environment_and_no_shell(user: User, value: str) -> None:
    """Word by word; it sees the user's variables, and what it prints is taken without the last line end."""
    program = user.home / "give"
    program.write_text(f'#!{sys.executable}\nimport os, sys\nprint(os.environ["GIVEN"] + sys.argv[1])\n')
    program.chmod(0o700)
    manifest(user, ONE={"secret": "one"})
    configure(user, f"secrets:\n  ONE: {{command: [{program}, '; $HOME']}}\n")
    assert user.start(*PRINT, env={"GIVEN": value}).out == f"{value}; $HOME|"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("[sh, -c, 'echo leaked; exit 3']", "ended with 3"),
        ("['true']", "printed no text"),
        ("[no-such-program]", "there is no program no-such-program"),
    ],
)
def test_a_command_that_fails_is_one_error(user: User, command: str, said: str) -> None:
    """With its name and ours, without what it printed, and nothing is launched."""
    manifest(user, ONE={"secret": "one"})
    configure(user, f"secrets:\n  ONE: {{command: {command}}}\n")
    done = user.start("true", options=("--debug",))
    assert done.code == 125
    assert said in done.err
    assert "leaked" not in done.err.replace(command, "")


def test_a_manifest_names_no_command(user: User) -> None:
    """What runs on the host is the user's own choice: the key is unknown in a manifest."""
    manifest(user, ONE={"secret": "one", "command": ["id"]})
    done = user.start("true")
    assert (done.code, "bottles.dev.env.ONE.command: unknown key" in done.err) == (125, True)


def test_no_keyring_is_a_problem_before_the_question(user: User) -> None:
    """Named with the key and the cure, which helps; a dry run asks no keyring."""
    user.environment["PYTHON_KEYRING_BACKEND"] = NOWHERE
    manifest(user, ONE={"secret": "one", "keyring": "s/n"})
    done = user.start("true")
    assert done.code == 125
    assert "bottles.dev.env.ONE.keyring: this machine has no keyring" in done.err
    dry = user.bottle("start", "reviewer", "--dry-run")
    assert (dry.code, "not checked: the keyring" in dry.err) == (0, True)
    (user.home / "file").write_text("from a file")
    assert user.start(*PRINT, options=("--secret-file", f"ONE={user.home / 'file'}")).out == "from a file|"


def test_a_missing_entry_is_one_error(keeper: User) -> None:
    """With the command that would make it."""
    manifest(keeper, ONE={"secret": "one", "keyring": "s/n"})
    done = keeper.start("true", options=("--debug",))
    assert (done.code, "the keyring has no entry s/n" in done.err, "keyring set s n" in done.err) == (125, True, True)


def test_one_question_is_asked_once(user: User, value: str) -> None:
    """Two variables of one secret: the user answers once after the yes, without echo; another secret is another one."""
    manifest(user, ONE={"secret": "the token"}, TWO={"secret": "the token"}, THREE={"secret": "the other"})
    process, terminal = begin_at_terminal(user, "start", "reviewer", "--file", "bottle.yaml", "--", *PRINT)
    shown = ""
    for asked, answer in (("[y/N]:", "y"), ("the token:", value), ("the other:", "x" * 9)):
        shown += read_until(terminal, asked)
        os.write(terminal, f"{answer}\n".encode())
    shown += read_until(terminal, f"{value}|{value}")
    shown += read_until(terminal, None)
    assert process.wait(20) == 0
    os.close(terminal)
    assert (shown.count("the token:"), shown.count("the other:")) == (1, 1)
    assert shown.count(value) == 2


def read_until(terminal: int, text: str | None) -> str:
    """Return what a terminal shows, up to a text or to its end."""
    shown = ""
    while text is None or text not in shown:
        assert select.select([terminal], [], [], 20)[0], shown
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:
            break
    return shown
