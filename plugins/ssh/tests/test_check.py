"""What is wrong with SSH entries, before anybody is asked, and what the preflight says of those that are right."""

import os
import subprocess
from pathlib import Path

import pytest
from ssh_keys import HOST, Home, blob_of, make_spec

from bottle_ssh.agent import KeyAgent
from bottle_ssh.check import lines, questions
from bottle_ssh.known import find_host_keys
from bottle_ssh.plugin import SshProvisioner
from claude_bottle.errors import Problem
from claude_bottle.manifest.types import Ssh
from claude_bottle.plan.spec import Draft


def entry(key: Path, host: str = HOST, port: int = 22) -> Ssh:
    """Return an entry."""
    return Ssh(host=host, user="git", port=port, identity_file=str(key))


def problems(*entries: Ssh, **traits: bool) -> list[Problem]:
    """Return what the plugin says."""
    return list(SshProvisioner().validate(make_spec(*entries, **traits)))


def test_an_entry_that_is_right_has_no_problem(home: Home) -> None:
    """A key that is its owner's alone, and a host that the user knows."""
    home.know()
    assert problems(entry(home.key())) == []
    assert problems() == []


def test_a_key_that_is_not_there_is_a_problem(home: Home) -> None:
    """S26: the path is named, and how to make one; so is the key in the manifest."""
    home.know()
    [found] = problems(entry(home.ssh / "absent"))
    assert found.message == f"there is no key {home.ssh}/absent"
    assert found.where == "bottles.dev.ssh.0.identity_file"
    assert "ssh-keygen -t ed25519 -f" in str(found.hint)


def test_a_key_that_others_can_read_is_a_problem(home: Home) -> None:
    """ssh-add would refuse it in the middle of a launch."""
    home.know()
    key = home.key()
    key.chmod(0o640)
    [found] = problems(entry(key))
    assert (found.hint, "open to others" in found.message) == (f"chmod 600 {key}", True)


def test_a_file_that_is_no_key_is_a_problem(home: Home) -> None:
    """Whatever it is."""
    home.know()
    path = home.ssh / "notes"
    path.write_text("buy milk")
    path.chmod(0o600)
    assert "is no private key" in problems(entry(path))[0].message


@pytest.mark.user
@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_key_that_cannot_be_read_is_a_problem(home: Home) -> None:
    """With the system's own word."""
    home.know()
    key = home.key()
    key.chmod(0)
    assert "Permission denied" in problems(entry(key))[0].message


def test_a_host_that_nobody_knows_is_a_problem(home: Home) -> None:
    """It says how to get its key, and that it is to be compared; another port is another host."""
    home.know()
    key = home.key()
    [found] = problems(entry(key, port=2222))
    assert found.message == f"no key of [{HOST}]:2222 is in your known_hosts"
    assert f"ssh-keyscan -p 2222 {HOST} >> ~/.ssh/known_hosts" in str(found.hint)
    assert "fingerprint" in str(found.hint)
    home.know(f"[{HOST}]:2222")
    assert problems(entry(key, port=2222)) == []


def test_all_problems_are_found_at_once(home: Home) -> None:
    """Of a backend, of a key, of a host."""
    found = problems(entry(home.ssh / "absent"), unix=False)
    assert len(found) == 3
    assert "backend stage cannot carry a socket" in found[0].message


def test_hashed_and_revoked_and_patterns_are_understood(home: Home) -> None:
    """A hashed entry is found and comes out in plain text; a key that was revoked vouches for nobody."""
    host = home.know()
    home.know("*.example.com", "wild")
    home.know(HOST, "stolen")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", home.known_hosts], capture_output=True, check=True)
    stolen = home.ssh.joinpath("stolen.pub").read_text().split()
    with home.known_hosts.open("a") as file:
        file.write(f"@revoked * {stolen[0]} {stolen[1]}\n")
    assert HOST not in home.known_hosts.read_text()
    known = find_host_keys(HOST, 22, [home.known_hosts])
    assert known.keys == {blob_of(host), blob_of(home.ssh / "wild")}
    assert f"@revoked {HOST} {stolen[0]} {stolen[1]}" in known.lines
    assert all(HOST in line for line in known.lines)


def test_a_passphrase_is_asked_for_where_there_is_one(home: Home) -> None:
    """Of OpenSSH's own format and of the older one; never of a key that has none."""
    for name, passphrase, options in (("new", "secret", ()), ("old", "secret", ("-m", "PEM", "-t", "ecdsa"))):
        home.key(name, passphrase, *options)
    home.key("plain")
    entries = [entry(home.ssh / name) for name in ("new", "plain", "old")]
    assert [name for name, _ in questions(entries)] == [str(home.ssh / "new"), str(home.ssh / "old")]


def test_the_preflight_says_who_holds_a_key(home: Home) -> None:
    """A private file goes to an agent of the bottle's own, a public one stands for a key in the user's."""
    key = home.key()
    [(_, own), (_, theirs)] = lines([entry(key), entry(key.with_name("id.pub"))], inside=False)
    assert own == f"id for git@{HOST}:22 (held by an ssh-agent outside, for this bottle alone)"
    assert theirs == f"id.pub for git@{HOST}:22 (held by your own ssh-agent)"


def test_where_no_socket_is_carried_root_inside_holds_the_key(home: Home) -> None:
    """The preflight says so; a key in the user's own agent cannot be had there, and says why."""
    home.know()
    key = home.key()
    assert problems(entry(key), unix=False, root=True) == []
    [problem] = problems(entry(key.with_name("id.pub")), unix=False, root=True)
    assert "in your own ssh-agent, which nothing in this backend's bottles can reach" in problem.message
    part = SshProvisioner().resolve_plan(make_spec(entry(key), unix=False, root=True), Draft())
    assert "an ssh-agent inside, as root" in dict(part.lines)["ssh keys"]


def test_a_public_key_needs_the_users_own_agent(home: Home, agent: KeyAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an agent, or with one that has not got it, nothing starts; also where the private file is gone."""
    home.know()
    key = home.key()
    public = entry(key.with_name("id.pub"))
    assert "SSH_AUTH_SOCK is not set" in str(problems(public)[0].hint)
    with agent.connect() as connection:
        monkeypatch.setenv("SSH_AUTH_SOCK", connection.getpeername())
    assert "does not have the key" in problems(public)[0].message
    subprocess.run(["ssh-add", "-q", key], check=True)
    key.unlink()
    assert problems(public) == problems(entry(key)) == []
