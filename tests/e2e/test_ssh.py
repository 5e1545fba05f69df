"""Where a key may be and how a host may be known: each case from a user's manifest to a login inside."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from e2e_sshd import Sshd, make_key
from e2e_terminal import begin_at_terminal
from e2e_upstream import Internet
from e2e_user import User

HOST = "git.e2e.test"
SOFTHSM = next((path.resolve() for path in Path("/usr/lib").glob("**/softhsm/libsofthsm2.so")), None)
Serve = Callable[..., Sshd]


@pytest.fixture
def serve(internet: Internet, tmp_path: Path) -> Iterator[Serve]:
    """Starts servers for a test."""
    servers: list[Sshd] = []

    def begin(*options: str) -> Sshd:
        servers.append(Sshd(tmp_path / f"sshd-{len(servers)}", internet.address, *options))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


def manifest(user: User, *entries: Mapping[str, Any]) -> None:
    """Write a manifest with these entries."""
    user.manifest({"egress": {"private_addresses": ["127.0.0.0/8"]}, "ssh": list(entries)})


def key_of(user: User, **how: Any) -> Path:
    """Make a key in a user's home."""
    (user.home / ".ssh").mkdir(mode=0o700, exist_ok=True)
    return make_key(user.home / ".ssh" / "id", **how)


@pytest.fixture
def own_agent(user: User) -> Iterator[Mapping[str, str]]:
    """An ssh-agent of the user's own: the variables that lead to it."""
    socket = user.folder / "own-agent"
    lets = ["-P", str(SOFTHSM)] if SOFTHSM else []
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket, *lets], stdout=subprocess.PIPE)
    assert process.stdout
    assert b"SSH_AUTH_SOCK" in process.stdout.readline()
    yield {"SSH_AUTH_SOCK": str(socket)}
    process.terminate()
    process.communicate()


def test_a_passphrase_is_asked_for_at_the_terminal(user: User, serve: Serve) -> None:
    """S26: after the yes, without an echo; then the key works as any other."""
    server, key = serve(), key_of(user, passphrase="correct horse")
    server.lead(user, HOST)
    server.admit(key)
    manifest(user, server.entry(HOST, key))
    words = ("start", "reviewer", "--file", "bottle.yaml", "--", "ssh", HOST, "echo in$((40 + 2))side")
    process, terminal = begin_at_terminal(user, *words)
    shown = b""
    answers = [(b"[y/N]", b"y\n"), (f"Passphrase of {key}".encode(), b"correct horse\n")]
    with suppress(OSError):  # EIO: the terminal is closed
        while part := os.read(terminal, 65536):
            shown += part
            if answers and answers[0][0] in shown:
                os.write(terminal, answers.pop(0)[1])
    os.close(terminal)
    assert process.wait(30) == 0, shown.decode()
    assert b"in42side" in shown
    assert b"correct horse" not in shown


def test_a_passphrase_may_come_from_a_file(user: User, serve: Serve) -> None:
    """Without a terminal it is a problem of step 1, unless a file has it; a wrong one ends the launch and says so."""
    server, key = serve(), key_of(user, passphrase="correct horse")
    server.lead(user, HOST)
    server.admit(key)
    manifest(user, server.entry(HOST, key))
    refused = user.start("ssh", HOST, "true")
    assert refused.code == 125
    assert f"--secret-file {key}=PATH" in refused.err
    file = user.home / "passphrase"
    for words, code in (("correct horse", 0), ("wrong", 125)):
        file.write_text(words)
        done = user.start("ssh", HOST, "true", options=("--secret-file", f"{key}={file}"))
        assert done.code == code, done.err
    assert f"the key {key} could not be loaded: the passphrase is wrong" in done.err
    assert list((user.run / "claude-bottle").glob("ssh-*")) == []


def test_a_key_in_the_users_own_agent_is_used_for_its_host_alone(
    user: User, serve: Serve, own_agent: Mapping[str, str]
) -> None:
    """S8, S26: a public key names it; the agent's other key is not seen, and another host gets no signature."""
    server, other, key = serve(), serve(), key_of(user)
    server.lead(user, HOST)
    other.lead(user, "third.e2e.test")
    stray = make_key(user.home / ".ssh" / "stray")
    for it in (server, other):
        it.admit(key, stray)
    subprocess.run(["ssh-add", "-q", key, stray], env={**os.environ, **own_agent}, check=True)
    key.unlink()
    manifest(
        user,
        server.entry(HOST, key, identity_file="~/.ssh/id.pub"),
        other.entry("third.e2e.test", stray, identity_file="~/.ssh/stray"),
    )
    look = (
        f"ssh {HOST} echo here; SSH_AUTH_SOCK=~/.ssh/agent.sock ssh-add -L | wc -l;"
        " sed /IdentityFile/d ~/.ssh/config > /tmp/config;"
        " ssh -F /tmp/config -o IdentityFile=~/.ssh/bottle-1.pub third.e2e.test echo there"
    )
    done = user.start("sh", "-c", look, env=own_agent)
    assert (done.code, done.out) == (255, "here\n2\n"), done.err
    assert "ssh-destination" in {it.get("rule") for it in user.events()} or "Permission denied" in done.err


@pytest.mark.skipif(SOFTHSM is None, reason="no softhsm2 on this machine: apt-get install softhsm2")
def test_a_key_on_a_token_is_used(user: User, serve: Serve, own_agent: Mapping[str, str], tmp_path: Path) -> None:
    """S26: a token that the user's agent has taken in by PKCS#11; the key leaves it for nobody."""
    assert SOFTHSM is not None
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    pem, pin = tmp_path / "key.pem", tmp_path / "pin"
    pin.write_text("#!/bin/sh\necho 1234\n")
    pin.chmod(0o700)
    around = {**os.environ, **own_agent, "SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf")}
    around |= {"SSH_ASKPASS": str(pin), "SSH_ASKPASS_REQUIRE": "force"}
    pins = ["--pin", "1234"]
    for argv in (
        ["openssl", "genpkey", "-algorithm", "RSA", "-out", pem],
        ["softhsm2-util", "--init-token", "--free", "--label", "test", "--so-pin", "1234", *pins],
        ["softhsm2-util", "--import", pem, "--token", "test", "--label", "key", "--id", "01", *pins],
    ):
        subprocess.run(argv, env=around, check=True, capture_output=True)
    listed = subprocess.run(["ssh-keygen", "-D", SOFTHSM], env=around, check=True, capture_output=True, text=True)
    public = user.home / "token.pub"
    public.write_text(listed.stdout)
    server = serve()
    server.lead(user, HOST)
    server.authorized.write_text(listed.stdout)
    manifest(user, server.entry(HOST, public))
    absent = user.start("true", env=own_agent)
    assert "your ssh-agent does not have the key" in absent.err
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", tmp_path / "agent", "-P", SOFTHSM], env=around, stdout=-1)
    try:
        assert agent.stdout
        agent.stdout.readline()
        around["SSH_AUTH_SOCK"] = str(tmp_path / "agent")
        subprocess.run(["ssh-add", "-q", "-s", SOFTHSM], env=around, check=True, capture_output=True)
        done = user.start("ssh", HOST, "echo token", env={"SSH_AUTH_SOCK": around["SSH_AUTH_SOCK"]})
        assert (done.code, done.out) == (0, "token\n"), done.err
    finally:
        agent.terminate()
        agent.communicate()


def test_certificates_of_user_and_host_hold(user: User, serve: Serve, tmp_path: Path) -> None:
    """The server admits a certificate alone, and is known by one alone; both work, and another server does not."""
    authority = make_key(tmp_path / "authority")
    server = serve(f"TrustedUserCAKeys {authority}.pub", f"HostCertificate {tmp_path}/sshd-0/host-cert.pub")
    key = key_of(user)
    for options, public in ((["-n", server.user], f"{key}.pub"), (["-h", "-n", HOST], f"{server.key}.pub")):
        subprocess.run(["ssh-keygen", "-q", "-s", authority, "-I", "test", *options, public], check=True)
    server.restart()
    server.lead(user, HOST)
    kind, blob, *_ = authority.with_name("authority.pub").read_text().split()
    known = user.home / ".ssh" / "known_hosts"
    known.write_text(f"@cert-authority *.e2e.test,[*.e2e.test]:{server.port} {kind} {blob}\n")
    manifest(user, server.entry(HOST, key))
    done = user.start("ssh", HOST, "echo certified")
    assert (done.code, done.out) == (0, "certified\n"), done.err
    key.with_name("id-cert.pub").unlink()
    assert user.start("ssh", HOST, "true").code == 255


@pytest.mark.root
def test_several_users_of_one_host_have_each_their_own_key(user: User, serve: Serve, tmp_path: Path) -> None:
    """S8: one host, one port, two entries: each user is logged in with their own key, with the other's neither is.

    The server admits both keys for both, so that it is the entries that keep them apart.
    """
    admitted = f"AuthorizedKeysCommand /bin/cat {tmp_path}/sshd-0/authorized"
    server = serve(admitted, "AuthorizedKeysCommandUser root")
    keys = [make_key(user.home / name) for name in ("one", "two")]
    server.admit(*keys)
    server.lead(user, HOST)
    manifest(user, server.entry(HOST, keys[0]), server.entry(HOST, keys[1], user="daemon"))
    only = f"sed /IdentityFile/d ~/.ssh/config >/tmp/config; ssh -F /tmp/config {HOST} -o IdentityFile=~/.ssh/bottle-"
    script = f"ssh {HOST} id -un; ssh -l daemon {HOST}; {only}2.pub -l {server.user} true; {only}1.pub -l daemon"
    done = user.start("sh", "-c", script)
    assert (done.code, done.out) == (255, f"{server.user}\nThis account is currently not available.\n"), done.err
    assert done.err.count("Permission denied (publickey)") == 2
    signed = [it["reason"] for it in user.events() if it.get("rule") == "ssh"]
    assert [reason.partition(":")[0] for reason in signed] == [
        f"signed with one for {server.user}@{HOST}",
        f"signed with two for daemon@{HOST}",
    ]


def test_hashed_hosts_and_addresses(user: User, serve: Serve) -> None:
    """A hashed `known_hosts`, an IPv4 literal, two ports of one host, each with its own key."""
    first, second = serve(), serve()
    keys = [make_key(user.home / name) for name in ("one", "two")]
    for server, key in zip((first, second), keys, strict=True):
        server.admit(key)
        server.lead(user, "127.0.0.1", HOST)
    config = user.config / "config.yaml"
    lines = [line for line in config.read_text().splitlines() if not line.strip().startswith(("127.0.0.1:", HOST))]
    config.write_text("".join(f"{line}\n" for line in lines))
    known = user.home / ".ssh" / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    assert "127.0.0.1" not in known.read_text()
    manifest(user, first.entry("127.0.0.1", keys[0]), second.entry("127.0.0.1", keys[1]))
    done = user.start("sh", "-c", f"ssh 127.0.0.1 echo one && ssh -p {second.port} 127.0.0.1 echo two")
    assert (done.code, done.out) == (0, "one\ntwo\n"), done.err


def test_the_summary_says_who_refused(user: User, serve: Serve) -> None:
    """At the end, what the ssh-agent refused is not laid at the proxy's door."""
    server, key = serve(), key_of(user)
    server.lead(user, HOST)
    manifest(user, server.entry(HOST, key))
    script = "SSH_AUTH_SOCK=~/.ssh/agent.sock ssh-add -qD; curl -s https://refused.e2e.test"
    told = user.start("sh", "-c", script).err
    assert "refused by the ssh-agent:\n  remove all\n" in told
    assert "refused by the proxy:\n  refused.e2e.test: " in told
    assert {it["by"] for it in user.events() if it["host"] == "ssh-agent"} == {"ssh-agent"}


def test_a_host_that_shows_another_key_is_left(user: User, serve: Serve) -> None:
    """S26: whoever stands in a host's place is not talked to, and nobody is asked whether they may be."""
    server, key = serve(), key_of(user)
    server.lead(user, HOST)
    server.admit(key)
    known = user.home / ".ssh" / "known_hosts"
    other = make_key(user.home / "other").with_name("other.pub").read_text().split()
    known.write_text(f"[{HOST}]:{server.port} {other[0]} {other[1]}\n")
    manifest(user, server.entry(HOST, key))
    done = user.start("ssh", HOST, "true")
    assert done.code == 255
    assert "Host key verification failed" in done.err


def test_all_that_is_missing_is_said_at_once(user: User) -> None:
    """S6, S26: the key and the host's key are problems of a dry run already, with what to do about each."""
    manifest(user, {"host": "git.example.com", "user": "git", "identity_file": "~/.ssh/absent"})
    done = user.bottle("start", "reviewer", "--dry-run", "--file", "bottle.yaml")
    assert done.code == 1
    assert f"there is no key {user.home}/.ssh/absent" in done.err
    assert "no key of git.example.com is in your known_hosts" in done.err
    assert "ssh-keyscan git.example.com >> ~/.ssh/known_hosts" in done.err


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="no ssh-agent on this machine")
def test_nothing_of_a_failed_launch_is_left(user: User, serve: Serve) -> None:
    """A step that fails after the agent has begun takes it down again."""
    server, key = serve(), key_of(user)
    server.lead(user, HOST)
    first, *body, last = key.read_text().splitlines()
    key.write_text("\n".join([first, *reversed(body), last, ""]))  # still a key by its looks
    manifest(user, server.entry(HOST, key))
    done = user.start("true")
    assert done.code == 125
    assert f"the key {key} could not be loaded" in done.err
    assert list((user.run / "claude-bottle").glob("ssh-*")) == []
