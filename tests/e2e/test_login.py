"""Logging in once: a token in the keyring or in a file, given to a bottle as a placeholder, and taken away again."""

import json
import os
import resource
import stat
from pathlib import Path

import pytest
from e2e_keyring import NOWHERE
from e2e_login import give_coder, holding, preflight, read_until, token
from e2e_terminal import begin_at_terminal
from e2e_upstream import ALLOWED, Internet
from e2e_user import User

SEND = (
    'curl -sS -o /dev/null ${CODER_TOKEN:+-H "Authorization: Bearer $CODER_TOKEN"} '
    f'${{CODER_KEY:+-H "x-api-key: $CODER_KEY"}} https://{ALLOWED}/;'
    'printf "%s|%s" "$CODER_TOKEN" "$CODER_KEY"'
)


@pytest.fixture
def coder(user: User, tmp_path: Path) -> User:
    """Somebody with an agent plugin that has two credentials, and with a real keyring, which is a file."""
    return give_coder(user, tmp_path)


@pytest.mark.parametrize(
    ("kind", "name", "sent"), [("oat", "CODER_TOKEN", "Bearer {}"), ("api", "CODER_KEY", "x-api-key: {}")]
)
def test_a_token_is_stored_once_and_used_by_every_bottle(
    coder: User, internet: Internet, kind: str, name: str, sent: str
) -> None:
    """Piped in, told by its prefix, kept by the keyring; the agent holds a placeholder, its host gets the token."""
    value = token(kind)
    done = coder.bottle("login", "coder", stdin=f"{value}\n")
    assert done.code == 0, done.err
    assert name in done.err
    assert value not in done.out + done.err
    assert preflight(coder)["secrets"] == {name: "keyring"}
    assert list(preflight(coder)["injected"]) == [name]
    for _ in range(2):
        internet.seen.clear()
        started = coder.start("sh", "-c", SEND, options=("--debug",))
        held = "".join(started.out.split("|"))
        assert (len(held), held == value, held[:10]) == (len(value), False, value[:10])
        assert sent.format(value) in internet.seen[0].headers
        assert f"{name} (keyring)" in started.err
        assert value not in started.err
    assert holding(coder, value) == set()  # in its file it is in base64
    assert len([it for it in (coder.folder / "data").rglob("*") if it.is_file()]) == 1


def test_the_host_s_own_variable_goes_first(coder: User) -> None:
    """What is set now counts before what was stored, and the preflight says which."""
    here = {"CODER_KEY": token("api")}
    assert "CODER_KEY is set here, and goes before it" in coder.bottle("login", "coder", stdin=token(), env=here).err
    shown = preflight(coder, here)
    assert shown["secrets"] == {"CODER_KEY": "the host's environment"}
    assert list(shown["injected"]) == ["CODER_KEY"]
    assert "coder-api" not in json.dumps(shown)


def test_a_manifest_may_hand_it_over(coder: User) -> None:
    """Whoever writes the variable into the manifest decides; the preflight says that the agent sees it."""
    env = {"CODER_TOKEN": "${CODER_TOKEN}"}
    coder.manifest({"egress": {"private_addresses": ["127.0.0.0/8"]}, "env": env}, {"agent": "coder"})
    shown = preflight(coder, {"CODER_TOKEN": token()})
    assert (shown["injected"], shown["env"]["forwarded"]) == ({}, ["CODER_TOKEN"])


def test_a_host_that_is_not_opened_is_a_problem_that_says_what_to_change(coder: User) -> None:
    """S4: the line of the manifest, and both ways out, of which one is to let the agent see it."""
    coder.bottle("login", "coder", stdin=token())
    egress = {"private_addresses": ["127.0.0.0/8"], "inspect": {ALLOWED: "opaque"}}
    coder.manifest({"egress": egress}, {"agent": "coder"})
    done = coder.start("true")
    assert done.code == 125
    where = f'bottle.yaml:12: bottles.dev.egress.inspect["{ALLOWED}"]'
    assert f"{where}: CODER_TOKEN is to be injected for {ALLOWED}, whose TLS is not opened" in done.err
    assert f"set egress.inspect for {ALLOWED} to block or warn" in done.err
    assert 'env: {CODER_TOKEN: "${CODER_TOKEN}"}' in done.err
    coder.manifest({"egress": egress, "env": {"CODER_TOKEN": "${CODER_TOKEN}"}}, {"agent": "coder"})
    assert preflight(coder, {"CODER_TOKEN": token()})["env"]["forwarded"] == ["CODER_TOKEN"]


def test_logout_removes_it(coder: User) -> None:
    """Nothing is left in the keyring or in the plan; a second one has nothing to do."""
    coder.bottle("login", "coder", stdin=token())
    done = coder.bottle("logout", "coder")
    assert (done.code, "removed CODER_TOKEN" in done.err) == (0, True)
    assert preflight(coder)["secrets"] == {}
    assert "nothing is stored" in coder.bottle("logout", "coder").err
    data = (coder.folder / "data").rglob("*")
    assert not any("code" in it.read_text().lower() for it in data if it.is_file())


def test_an_agent_without_a_login_is_said_before_the_start(coder: User) -> None:
    """Who would be let down at the end of a launch sees it at the question; not who has one, whatever gives it."""
    said = "login         : none for coder (`bottle login coder`, or set CODER_TOKEN or CODER_KEY)"
    words = ("start", "reviewer", "--dry-run")
    assert said in coder.bottle(*words).out
    assert "none for coder" not in coder.bottle(*words, env={"CODER_KEY": token("api")}).out
    coder.manifest({"env": {"CODER_KEY": token("api")}}, {"agent": "coder"})
    assert "none for coder" not in coder.bottle(*words).out


def test_another_login_takes_its_place(coder: User) -> None:
    """Two kinds of credentials of one agent are never stored at once."""
    coder.bottle("login", "coder", stdin=token())
    coder.bottle("login", "coder", stdin=token("api"))
    assert list(preflight(coder)["secrets"]) == ["CODER_KEY"]


def test_without_a_keyring_only_a_yes_makes_a_file(coder: User, internet: Internet) -> None:
    """A file of the user's own, which nobody else can read, and which the preflight names."""
    coder.environment["PYTHON_KEYRING_BACKEND"] = NOWHERE
    value = token()
    refused = coder.bottle("login", "coder", stdin=value)
    assert (refused.code, "--file" in refused.err, value in refused.err) == (1, True, False)
    assert holding(coder, value) == set()
    assert coder.bottle("login", "coder", "--file", stdin=value).code == 0
    (path,) = holding(coder, value)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700
    assert preflight(coder)["secrets"] == {"CODER_TOKEN": path}
    internet.seen.clear()
    coder.start("sh", "-c", SEND)
    assert f"Bearer {value}" in internet.seen[0].headers
    coder.bottle("logout", "coder")
    assert holding(coder, value) == set()
    coder.bottle("login", "coder", "--file", stdin=value)
    Path(path).unlink()
    gone = coder.start("true")
    assert (gone.code, f"the login for coder cannot be read: {path}: No such file" in gone.err) == (125, True), gone.err


@pytest.mark.parametrize("answer", ["", "y"])
def test_at_a_terminal_the_file_is_asked_about(coder: User, answer: str) -> None:
    """No is the default, and stores nothing; the question names the file."""
    coder.environment["PYTHON_KEYRING_BACKEND"] = NOWHERE
    value, file = token(), coder.state / "claude-bottle" / "credentials" / "CODER_TOKEN"
    process, terminal = begin_at_terminal(coder, "login", "coder")
    read_until(terminal, "not shown):")
    os.write(terminal, f"{value}\n".encode())
    assert f"Keep it in {file}, which you alone can read? [y/N]:" in read_until(terminal, "[y/N]:")
    os.write(terminal, f"{answer}\n".encode())
    read_until(terminal, "stored")
    assert process.wait(10) == (0 if answer else 1)
    os.close(terminal)
    assert holding(coder, value) == ({str(file)} if answer else set())


def test_it_is_asked_for_without_echo(coder: User) -> None:
    """At a terminal: it says how to make one, and what is pasted is not shown."""
    value = token()
    process, terminal = begin_at_terminal(coder, "login", "coder")
    asked = read_until(terminal, "not shown):")
    assert "`coder setup-token` prints one" in asked
    assert resource.prlimit(process.pid, resource.RLIMIT_CORE) in {(0, 0), (1, 1)}  # no core file has it either
    os.write(terminal, f" {value} \n".encode())  # as a page that was copied from may have it
    shown = read_until(terminal, "as CODER_TOKEN")
    assert process.wait(10) == 0
    os.close(terminal)
    assert value not in shown
    assert preflight(coder)["secrets"] == {"CODER_TOKEN": "keyring"}
