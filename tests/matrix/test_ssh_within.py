"""SSH on a backend that carries no socket: root inside holds the key, and the agent's user can use it and not read it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_sshd import Sshd, make_key
from e2e_upstream import Internet
from e2e_user import Bottle, User
from matrix_pair import Pair

pytestmark = pytest.mark.parametrize("pair", [Pair("docker", "mitmproxy")], indirect=True, ids=str, scope="module")
"""No backend of ours is without sockets: this is the one on an engine, with that taken away."""

GIT, OTHER = "git.e2e.test", "shell.e2e.test"
BARE = """
from claude_bottle.cli.main import main
from claude_bottle.seam.traits import BackendTraits
import bottle_docker.bottle, bottle_docker.plugin

bottle_docker.plugin.PLUGIN = bottle_docker.plugin.PLUGIN._replace(
    backend_traits=BackendTraits(runs="image", root=True)
)
del bottle_docker.bottle.DockerBottle.serve_socket
main()
"""


@pytest.fixture(scope="module")
def servers(internet: Internet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Sshd]]:
    """Two servers."""
    folder = tmp_path_factory.mktemp("sshd")
    found = {host: Sshd(folder / host, internet.address) for host in (GIT, OTHER)}
    yield found
    for server in found.values():
        server.close()


@pytest.fixture(scope="module")
def bottle(pair: Pair, internet: Internet, servers: dict[str, Sshd]) -> Iterator[Bottle]:
    """A bottle with a key for one of them, which both admit."""
    user = pair.user(internet)
    for host, server in servers.items():
        server.lead(user, host)
    key = make_key(user.home / ".ssh" / "id")
    stray = make_key(user.home / ".ssh" / "stray")
    for server in servers.values():
        server.admit(key)
    entries = [servers[GIT].entry(GIT, key), servers[OTHER].entry(OTHER, stray)]
    user.manifest({"egress": {"private_addresses": [internet.private]}, "ssh": entries})
    words = ("start", "reviewer", "--file", "bottle.yaml", "--yes", "--detach")
    done = subprocess.run(
        [sys.executable, "-c", BARE, *words], env=user.environment, cwd=user.work, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "held by an ssh-agent inside, as root" in done.stderr
    yield Bottle(user, done.stdout.strip())
    user.close()


def test_the_key_logs_in(bottle: Bottle) -> None:
    """S26: a command's output and exit code come back, and what is pushed arrives."""
    done = bottle.exec("ssh", GIT, "echo here; exit 7")
    assert (done.code, done.out) == (7, "here\n"), done.err


def test_it_cannot_be_read(bottle: Bottle) -> None:
    """S26: the agent's memory, its descriptors, its socket and its folder are closed to the user; they are root's."""
    secret = (bottle.user.home / ".ssh" / "id").read_text().splitlines()[3]
    public = (bottle.user.home / ".ssh" / "id.pub").read_text().split()[1]
    look = "grep -rlsF -e '{}' \"$HOME\" /tmp /run /etc /var; grep -lsF '{}' /proc/[0-9]*/environ /proc/[0-9]*/cmdline; true"
    assert "bottle-1.pub" in bottle.sh(look.format(public, public)).out
    assert bottle.sh(look.format(secret, secret)).out == ""
    agents = bottle.sh('for it in /proc/[0-9]*; do grep -qs ssh-agent "$it/comm" && echo "$it"; done').out.split()
    assert len(agents) == 1
    for path in (f"{agents[0]}/mem", f"{agents[0]}/maps", f"{agents[0]}/environ"):
        tried = bottle.sh(f"head -c 1 {path}")
        assert (tried.code != 0, tried.out) == (True, ""), path
    closed = bottle.sh(f"ls {agents[0]}/fd; ls /tmp/.ssh-*/own; kill -CONT {agents[0].rpartition('/')[2]}; rm -rf /tmp/.ssh-*")
    assert closed.err.count("denied") + closed.err.count("not permitted") >= 4
    assert bottle.exec("ssh", GIT, "true").code == 0


def test_it_is_for_its_host_alone(bottle: Bottle, servers: dict[str, Sshd]) -> None:
    """S8: the other server would admit it, and nothing is signed for it, nor anything that is no login."""
    bottle.sh("sed '/IdentityFile/d' ~/.ssh/config > /tmp/config")
    refused = bottle.sh(f"ssh -F /tmp/config -o IdentityFile=$HOME/.ssh/bottle-1.pub {OTHER} true")
    assert (refused.code, "Permission denied" in refused.err) == (255, True)
    own = bottle.sh(f"ssh -F /tmp/config -o IdentityFile=$HOME/.ssh/bottle-1.pub {GIT} true")
    assert own.code == 0, own.err
    socket = "export SSH_AUTH_SOCK=$(sed -n 's/ *IdentityAgent //p' ~/.ssh/config | head -n 1)\n"
    signed = bottle.sh(f"{socket}echo text | ssh-keygen -Y sign -n file -f ~/.ssh/bottle-1.pub")
    assert (signed.code != 0, "SIGNATURE" in signed.out) == (True, False)


def test_it_lists_the_named_keys_and_changes_none(bottle: Bottle) -> None:
    """S8: adding, removing and locking fail; what is listed has no word of the user's machine."""
    socket = "export SSH_AUTH_SOCK=$(sed -n 's/ *IdentityAgent //p' ~/.ssh/config | head -n 1); cd /tmp\n"
    listed = bottle.sh(f"{socket}ssh-add -L")
    public = (bottle.user.home / ".ssh" / "id.pub").read_text().split()
    assert [line.split()[:2] for line in listed.out.splitlines()][0] == public[:2]
    assert "someone@home" not in listed.out
    for attempt in ("rm -f new; ssh-keygen -q -N '' -f new && ssh-add new", "ssh-add -D", "ssh-add -d ~/.ssh/bottle-1.pub"):
        assert bottle.sh(f"{socket}{attempt}").code != 0, attempt
    assert bottle.sh(f"{socket}ssh-add -L").out == listed.out


def test_nothing_of_it_is_left_outside(bottle: Bottle) -> None:
    """The agent that took the keys outside has ended, with its folder."""
    assert list((bottle.user.run / "claude-bottle").glob("ssh-*")) == []
