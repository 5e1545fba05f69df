"""SSH out of a bottle, on each pair: what a key is for works, and whatever else is tried with it inside does not."""

import base64
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from e2e_sshd import Sshd, make_key
from e2e_upstream import Internet
from e2e_user import Bottle, User, wait_until
from matrix_pair import Pair

pytestmark = pytest.mark.timeout(300)

GIT, OTHER = "git.e2e.test", "shell.e2e.test"
AGENT = 'export SSH_AUTH_SOCK="$HOME/.ssh/agent.sock"\n'


class Remote(NamedTuple):
    """A bottle with two SSH entries, each with a key of its own, and the two servers. Both servers admit both keys."""

    bottle: Bottle
    work: Path
    keys: Mapping[str, Path]
    servers: Mapping[str, Sshd]
    silent: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def remote(pair: Pair, internet: Internet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """It, for all tests of this module."""
    user, folder = pair.user(internet), tmp_path_factory.mktemp("ssh")
    servers = {host: Sshd(folder / host, internet.address) for host in (GIT, OTHER)}
    with ExitStack() as stack:
        for host, server in servers.items():
            stack.callback(server.close)
            server.lead(user, host)
        stack.callback(user.close)
        yield begin(user, folder, internet, servers, stack)


def begin(user: User, folder: Path, internet: Internet, servers: Mapping[str, Sshd], stack: ExitStack) -> Remote:
    """Start the bottle, and in it a session that says nothing for a while."""
    keys = {host: make_key(user.home / ".ssh" / f"id_{host}") for host in servers}
    for server in servers.values():
        server.admit(*keys.values())
    entries = [servers[host].entry(host, keys[host], identity_file=f"~/.ssh/id_{host}") for host in servers]
    user.manifest({"egress": {"private_addresses": [internet.private]}, "ssh": entries})
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", folder / "repository.git"], check=True)
    bottle = user.detached()
    silent = user.begin("exec", bottle.name, "--", "ssh", GIT, "sleep 12; echo awake")
    stack.callback(silent.communicate)
    stack.callback(silent.kill)
    return Remote(bottle, folder, keys, servers, silent)


def test_git_clones_fetches_and_pushes(remote: Remote) -> None:
    """S26: a clone over SSH, a commit pushed from inside, and what somebody else pushed fetched."""
    url = f"ssh://{GIT}{remote.work}/repository.git"
    user = "git config user.name Agent && git config user.email agent@bottle"
    begun = remote.bottle.sh(
        f"cd /tmp && git clone -q {url} clone && cd clone && {user} && git checkout -q -b main && echo inside > file"
        " && git add file && git commit -q -m 'From inside' && git push -q origin main"
    )
    assert begun.code == 0, begun.err
    log = ["git", "-C", remote.work / "repository.git", "log", "--format=%s", "main"]
    assert subprocess.run(log, capture_output=True, check=True, text=True).stdout == "From inside\n"
    again = remote.bottle.sh(
        f"cd /tmp && git clone -q {url} second && cd second && {user} && echo more >> file && git commit -qam Second"
        " && git push -q origin main && cd ../clone && git fetch -q && git log --format=%s origin/main"
    )
    assert again.out == "Second\nFrom inside\n", again.err


def test_commands_and_files_pass(remote: Remote) -> None:
    """A command's output and exit code come back, a file goes and returns as it was."""
    done = remote.bottle.exec("ssh", GIT, "echo here; exit 7")
    assert (done.code, done.out) == (7, "here\n")
    copied = remote.bottle.sh(
        f"cd /tmp && head -c 3000000 /dev/urandom > sent && scp -q sent {GIT}:{remote.work}/kept"
        f" && scp -q {GIT}:{remote.work}/kept back && cmp sent back && echo same"
    )
    assert copied.out == "same\n", copied.err


def test_every_signature_is_on_the_record(remote: Remote) -> None:
    """Which key was used for whom and where is an event like those of the proxy."""
    assert remote.bottle.exec("ssh", OTHER, "true").code == 0
    server, events = remote.servers[OTHER], remote.bottle.user.events()
    signed = [it for it in events if it.get("rule") == "ssh" and it["host"] == OTHER]
    assert signed[-1]["reason"] == f"signed with id_{OTHER} for {server.user}@{OTHER}:{server.port}"
    assert (signed[-1]["verdict"], signed[-1]["port"]) == ("allow", server.port)


def test_there_is_no_other_way_to_the_server(remote: Remote) -> None:
    """The server can be reached from outside, and from inside through the proxy alone."""
    server = remote.servers[GIT]
    dial = f"timeout 3 bash -c 'head -c 7 < /dev/tcp/{server.address}/{server.port}'"
    assert subprocess.run(dial, shell=True, capture_output=True, check=False).stdout == b"SSH-2.0"
    assert remote.bottle.sh(dial).out == ""


def test_the_key_is_nowhere_inside(remote: Remote) -> None:
    """S26: no file that can be read and no process that can be seen inside has a private key; a public one is found."""
    secret = remote.keys[GIT].read_text().splitlines()[3]
    public = remote.keys[GIT].with_name(f"id_{GIT}.pub").read_text().split()[1]
    look = "grep -rlsF -e '{}' \"$HOME\" /tmp /run /etc /workspace /var; grep -lsF '{}' /proc/[0-9]*/environ; true"
    assert "bottle-1.pub" in remote.bottle.sh(look.format(public, public)).out
    assert remote.bottle.sh(look.format(secret, secret)).out == ""
    assert remote.bottle.exec("cat", str(remote.keys[GIT])).code != 0


def test_there_is_no_agent_inside_whose_memory_could_be_read(remote: Remote) -> None:
    """The process that holds the keys runs outside: among all that is seen inside there is none."""
    agents = "cat /proc/[0-9]*/comm | grep -c ssh-agent"
    assert subprocess.run(agents, shell=True, capture_output=True, check=False).stdout.strip() != b"0"
    assert remote.bottle.sh(agents).out.strip() == "0"


def test_a_key_is_for_its_own_host_alone(remote: Remote) -> None:
    """S8: the other server would admit the key, and does from outside; from inside nothing is signed for it."""
    server, key = remote.servers[OTHER], remote.keys[GIT]
    loose = ["-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    outside = [
        "ssh",
        "-F",
        "none",
        *loose,
        "-i",
        key,
        "-p",
        str(server.port),
        f"{server.user}@{server.address}",
        "true",
    ]
    subprocess.run(outside, check=True, capture_output=True)
    with_key = "ssh -F /tmp/config -o IdentityFile=$HOME/.ssh/bottle-{}.pub {} true"
    remote.bottle.sh("sed '/IdentityFile/d' ~/.ssh/config > /tmp/config")
    assert remote.bottle.sh(with_key.format(2, OTHER)).code == 0
    refused = remote.bottle.sh(with_key.format(1, OTHER))
    assert refused.code == 255
    assert "Permission denied" in refused.err


def test_nothing_but_a_login_is_signed(remote: Remote) -> None:
    """S8: what is no login to a named host, such as a signed file, gets no signature, and is on the record."""
    done = remote.bottle.sh(AGENT + "echo text | ssh-keygen -Y sign -n file -f ~/.ssh/bottle-1.pub")
    assert done.code != 0
    assert "SIGNATURE" not in done.out
    assert any(it.get("rule") == "ssh-destination" for it in remote.bottle.user.events())


def test_the_agent_lists_the_named_keys_and_changes_none(remote: Remote) -> None:
    """S8: two keys are listed; adding, removing, and locking fail, and both work as before."""
    listed = remote.bottle.sh(f"{AGENT}ssh-add -L")
    publics = {key.with_name(f"{key.name}.pub").read_text().split()[1] for key in remote.keys.values()}
    assert {line.split()[1] for line in listed.out.splitlines()} == publics
    assert base64.b64encode(b"someone@home").decode() not in listed.out
    assert "someone@home" not in listed.out
    tries = ("rm -f new; ssh-keygen -q -N '' -f new && ssh-add new", "ssh-add -D", "ssh-add -d ~/.ssh/bottle-1.pub")
    for attempt in tries:
        assert remote.bottle.sh(f"{AGENT}cd /tmp\n{attempt}").code != 0, attempt
    assert remote.bottle.sh(f"{AGENT}ssh-add -L").out == listed.out
    assert remote.bottle.exec("ssh", GIT, "true").code == 0


def test_a_host_that_is_not_an_entry_is_refused(remote: Remote) -> None:
    """The helper says what the proxy said."""
    helper = "perl ~/.ssh/connect.pl $(sed -n 's/.*connect.pl \\([^ ]*\\) .*/\\1/p' ~/.ssh/config | head -n 1)"
    done = remote.bottle.sh(f"{helper} other.e2e.test 22 < /dev/null")
    assert done.code != 0
    assert "the proxy refused other.e2e.test:22: HTTP/1.1 403" in done.err


def test_a_silent_session_lives(remote: Remote) -> None:
    """A session that says nothing for twelve seconds, begun before all of this, is not taken for one that is over."""
    assert remote.silent.communicate(timeout=30) == (b"awake\n", b"")


def test_nothing_outlives_the_bottle(pair: Pair, internet: Internet, tmp_path: Path) -> None:
    """The agent is gone, and its socket, once the bottle has ended, and so it is where the launcher is killed."""
    user, server = pair.user(internet), Sshd(tmp_path / "sshd", internet.address)
    try:
        server.lead(user, GIT)
        key = make_key(user.home / ".ssh" / "id")
        user.manifest({"egress": {"private_addresses": [internet.private]}, "ssh": [server.entry(GIT, key)]})
        folders = lambda: list((user.run / "claude-bottle").glob("ssh-*/agent"))  # noqa: E731 - one line
        bottle = user.detached()
        assert len(folders()) == 1
        user.bottle("stop", bottle.name)
        assert folders() == []
        killed = user.begin("start", "reviewer", "--file", "bottle.yaml", "--yes", "--", "sleep", "60")
        assert wait_until(folders, 30)
        killed.kill()
        killed.communicate()
        assert wait_until(lambda: not folders())
        assert user.bottle("cleanup", "--yes").code == 0
    finally:
        user.close()
        server.close()
