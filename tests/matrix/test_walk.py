"""README's walk-through, pasted line by line: against a real sshd, and a real git server over HTTPS."""

import getpass
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from e2e_readme import WALK, Shell, blocks, section
from e2e_repository import make_repository
from e2e_sshd import Sshd, make_key
from e2e_upstream import Internet
from e2e_user import User
from matrix_pair import Pair

pytestmark = pytest.mark.parametrize(
    "pair",
    [
        Pair("bwrap", "mitmproxy"),
        Pair("docker", "mitmproxy"),
        pytest.param(Pair("docker", "pipelock"), marks=pytest.mark.pipelock),
    ],
    indirect=True,
    ids=str,
)
"""The embedded set, the one on an engine, and on an engine what a plain user may run too."""

README = Path(__file__).parents[2] / "README.md"
HOST = "git.example.com"


@pytest.fixture
def sshd(internet: Internet, tmp_path: Path) -> Iterator[Sshd]:
    """A host of repositories, whose paths begin where they lie."""
    server = Sshd(
        tmp_path / "sshd", internet.address, f'ForceCommand cd {tmp_path} && exec sh -c "$SSH_ORIGINAL_COMMAND"'
    )
    yield server
    server.close()


@pytest.fixture
def user(pair: Pair, internet: Internet, sshd: Sshd) -> Iterator[User]:
    """Somebody with a key that the host admits, and who knows it; its name leads there, on this machine and inside."""
    someone = pair.user(internet)
    sshd.lead(someone, HOST)
    key = make_key(someone.home / ".ssh" / "id_ed25519")
    sshd.admit(key)
    known, config = someone.folder / "known", someone.folder / "ssh_config"
    known.write_text("".join(sshd.known(internet.address)))
    options = (
        f"HostName {internet.address}",
        f"Port {sshd.port}",
        f"IdentityFile {key}",
        f"UserKnownHostsFile {known}",
    )
    config.write_text("\n    ".join([f"Host {HOST}", *options, "StrictHostKeyChecking yes"]))
    someone.environment["GIT_SSH_COMMAND"] = f"ssh -F {config}"  # ssh itself knows no home but that of /etc/passwd
    (someone.home / ".gitconfig").write_text("[user]\n\tname = Ann\n\temail = ann@example.com\n")
    yield someone
    someone.close()


def write_manifest(user: User, text: str, internet: Internet, sshd: Sshd) -> None:
    """Write README's manifest, and what only a server of these tests needs: an address of this machine, and a port."""
    manifest = yaml.safe_load(text)
    bottle = manifest["bottles"]["dev"]
    bottle |= user.chosen
    bottle["egress"]["private_addresses"] = [internet.private]
    bottle["ssh"][0]["port"] = sshd.port
    (user.config / "bottle.yaml").write_text(json.dumps(manifest))


def test_the_walk_through_can_be_pasted(user: User, internet: Internet, sshd: Sshd, tmp_path: Path) -> None:
    """Clone, start, commit, look, merge, push: each line does what stands below it, and the push has arrived.

    An sshd of nobody but this user lets in nobody else, so that is what `git` is called.
    """
    make_repository(tmp_path / "team" / "project.git", file="before\n")
    make_repository(internet.folder / "team" / "library.git", greeting="Hello, world\n")
    me = getpass.getuser()
    text = section(README.read_text(), WALK).replace(f"git@{HOST}", f"{me}@{HOST}").replace("user: git", f"user: {me}")
    (_, manifest), (_, lines) = blocks(text)
    write_manifest(user, manifest, internet, sshd)
    Shell(user).paste(lines)
    show = ["git", "-C", tmp_path / "team" / "project.git", "log", "--format=%an %s", "main"]
    assert subprocess.run(show, capture_output=True, check=True, text=True).stdout == "Ann A greeting\nAnn first\n"
    assert user.listed() == []
