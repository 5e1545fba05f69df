"""An engine that `DOCKER_HOST` names as `ssh://`: OpenSSH's own client and server, and this machine's engine."""

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_sshd import Sshd, make_key
from e2e_upstream import ALLOWED, Internet
from e2e_user import User, wait_until
from matrix_pair import Pair

from bottle_docker.address import SOCKET

PAIR = Pair("docker", "mitmproxy")


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """The server, which lets one key in."""
    PAIR.check()
    folder = tmp_path_factory.mktemp("far")
    server = Sshd(folder / "sshd", "127.0.0.1")
    server.admit(make_key(folder / "key"))
    yield server
    server.close()


@pytest.fixture
def internet(far: Sshd, tmp_path: Path) -> Iterator[Internet]:
    """An upstream that the proxy's container reaches."""
    servers = PAIR.internet(tmp_path)
    yield servers
    servers.close()


@pytest.fixture
def user(far: Sshd, internet: Internet) -> Iterator[User]:
    """Somebody whose ssh knows the host and has the key, and whose `DOCKER_HOST` is the engine behind it."""
    someone = PAIR.user(internet)
    someone.manifest({"egress": {"allowlist": [ALLOWED], "private_addresses": [internet.private]}})
    local = os.environ.get("DOCKER_HOST", f"unix://{SOCKET}")
    if not local.startswith("unix://"):
        pytest.skip(f"needs an engine at a socket of this machine, not at {local}")
    (someone.folder / "known_hosts").write_text("".join(far.known("127.0.0.1")))
    words = f"-F none -o UserKnownHostsFile={someone.folder}/known_hosts -i {far.folder.parent}/key"
    wrapper = someone.folder / "bin" / "ssh"  # OpenSSH's client has its configuration from the passwd's home alone
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/ssh {words} "$@"\n')
    wrapper.chmod(0o755)
    someone.environment["PATH"] = f"{wrapper.parent}:{someone.environment['PATH']}"
    someone.environment["DOCKER_HOST"] = f"ssh://{far.user}@127.0.0.1:{far.port}{local.removeprefix('unix://')}"
    yield someone
    someone.close()


def clients(user: User) -> list[str]:
    """Return the ids of the processes of ssh that carry this user's engine."""
    found: list[str] = []
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                words = (path / "cmdline").read_bytes()
            except OSError:
                continue
            if str(user.run).encode() in words and b"-nNT" in words:
                found.append(path.name)
    return found


def test_a_bottle_runs_there(user: User, internet: Internet) -> None:
    """From preflight to teardown, input to its end, by an engine that is reached by ssh alone."""
    page = f"curl -sS https://{ALLOWED}/ && cat"
    done = user.start("sh", "-c", page, stdin=b"typed")
    assert (done.code, done.out.endswith("typed")) == (0, True), done.err
    assert done.out != "typed"
    assert user.listed() == []
    assert clients(user) == []
    assert list((user.run / "claude-bottle" / "engines").iterdir()) == []


def test_a_detached_one_is_found_from_any_terminal(user: User) -> None:
    """Each command has a way of its own there, which nobody else may use, and which ends with it."""
    bottle = user.detached()
    sockets = list((user.run / "claude-bottle" / "engines").iterdir())
    assert [stat.S_IMODE(path.stat().st_mode) for path in sockets] == [0o600]
    assert len(clients(user)) == 1
    assert bottle.exec("echo", "here").out == "here\n"
    assert user.bottle("stop", "reviewer").code == 0
    assert wait_until(lambda: clients(user) == [])


def test_a_kill_ends_the_way_there(user: User) -> None:
    """S14: the bottle goes, and ssh with it; the next command removes the socket."""
    process = user.begin("start", "reviewer", "--file", "bottle.yaml", "--yes", "--", "sh", "-c", "echo up; sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert wait_until(lambda: clients(user) == [])
    done = user.bottle("cleanup", "--yes")
    assert done.code == 0, done.err
    assert list((user.run / "claude-bottle" / "engines").iterdir()) == []


def test_who_is_not_let_in_is_told_by_ssh_itself(user: User, far: Sshd) -> None:
    """The question that nobody would answer is an error with the command that asks it."""
    (user.folder / "known_hosts").write_text("")
    done = user.start("true")
    assert (done.code, "Host key verification failed" in done.err) == (125, True), done.err
    assert f"-p {far.port} -- 127.0.0.1 true`" in done.err
