"""SSH on a backend that carries no socket: root inside holds the key; the agent's user can use it and not read it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from e2e_sshd import Sshd, make_key
from e2e_upstream import Internet
from e2e_user import Bottle
from matrix_pair import Pair

pytestmark = pytest.mark.parametrize("pair", [Pair("docker", "mitmproxy")], indirect=True, ids=str, scope="module")
"""No backend of ours is without sockets: this is the one on an engine, with that taken away."""

GIT, OTHER = "git.e2e.test", "shell.e2e.test"
SOCKET = "export SSH_AUTH_SOCK=$(sed -n 's/ *IdentityAgent //p' ~/.ssh/config | head -n 1)\n"
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
        [sys.executable, "-c", BARE, *words],
        env=user.environment,
        cwd=user.work,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "held by an ssh-agent inside, as root" in done.stderr
    yield Bottle(user, done.stdout.strip())
    user.close()


def test_the_key_logs_in(bottle: Bottle) -> None:
    """S26: a command's output and exit code come back."""
    done = bottle.exec("ssh", GIT, "echo here; exit 7")
    assert (done.code, done.out) == (7, "here\n"), done.err


def test_it_cannot_be_read(bottle: Bottle) -> None:
    """S26: no file that can be read has it; the agent's memory, folder and end are root's."""
    secret = (bottle.user.home / ".ssh" / "id").read_text().splitlines()[3]
    public = (bottle.user.home / ".ssh" / "id.pub").read_text().split()[1]
    look = "grep -rlsF -e '{}' ~ /tmp /run /etc; grep -lsF -e '{}' /proc/[0-9]*/environ /proc/[0-9]*/cmdline; true"
    assert "bottle-1.pub" in bottle.sh(look.format(public, public)).out
    assert bottle.sh(look.format(secret, secret)).out == ""
    tries = ("head -c1 $it/mem", "head -c1 $it/maps", "head -c1 $it/environ", "ls $it/fd", "kill -CONT ${it#/proc/}")
    tries += ("ls /tmp/.ssh-*/own", "rm -rf /tmp/.ssh-*")
    script = "it=$(dirname $(grep -ls ssh-agent /proc/[0-9]*/comm)); id -u >&2\n"
    done = bottle.sh(script + "".join(f"{it} && echo 'it could: {it}'\n" for it in tries))
    assert (done.out, done.err.splitlines()[0]) == ("", "1000")
    assert done.err.count("denied") + done.err.count("not permitted") >= len(tries), done.err


def test_it_is_for_its_host_alone(bottle: Bottle) -> None:
    """S8: the other server would admit it, and nothing is signed for it, nor anything that is no login."""
    ssh = "ssh -F /tmp/config -o IdentityFile=~/.ssh/bottle-1.pub"
    done = bottle.sh(f"sed '/IdentityFile/d' ~/.ssh/config >/tmp/config; {ssh} {GIT} echo in; {ssh} {OTHER} echo out")
    assert (done.code, done.out, "Permission denied" in done.err) == (255, "in\n", True)
    signed = bottle.sh(f"{SOCKET}echo text | ssh-keygen -Y sign -n file -f ~/.ssh/bottle-1.pub")
    assert (signed.code != 0, "SIGNATURE" in signed.out) == (True, False)


def test_it_lists_the_named_keys_and_changes_none(bottle: Bottle) -> None:
    """S8: adding, removing and locking fail; what is listed has no word of the user's machine."""
    tries = ("ssh-add /tmp/new", "ssh-add -D", "ssh-add -d ~/.ssh/bottle-1.pub", "yes | SSH_ASKPASS=true ssh-add -x")
    script = f"{SOCKET}ssh-keygen -q -N '' -f /tmp/new\n" + "".join(f"{it} && echo 'it could: {it}'\n" for it in tries)
    listed = bottle.sh(f"{script}ssh-add -L").out.splitlines()
    publics = [(bottle.user.home / ".ssh" / f"{name}.pub").read_text().split()[1] for name in ("id", "stray")]
    assert [line.split()[1:] for line in listed] == [[public] for public in publics]


def test_nothing_of_it_is_left_outside(bottle: Bottle) -> None:
    """The agent that took the keys outside has ended, with its folder."""
    assert list((bottle.user.run / "claude-bottle").glob("ssh-*")) == []
