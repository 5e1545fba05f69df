"""What the tests of this plugin share: keys made by ssh-keygen, and a `known_hosts`."""

import binascii
import subprocess
from pathlib import Path

from claude_bottle.manifest.types import Egress, Ssh
from claude_bottle.plan.spec import BottleSpec, Choice
from claude_bottle.seam.traits import BackendTraits

__all__ = ["HOST", "Home", "blob_of", "make_spec"]

HOST = "git.example.com"


def blob_of(key: Path) -> bytes:
    """Return the public blob of a key, by the path of its private half."""
    return binascii.a2b_base64(key.with_name(f"{key.name}.pub").read_text().split()[1])


class Home:
    """A home folder with an `.ssh`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ssh = folder / ".ssh"
        self.ssh.mkdir(mode=0o700)

    @property
    def known_hosts(self) -> Path:
        """The user's own file."""
        return self.ssh / "known_hosts"

    def key(self, name: str = "id", passphrase: str = "", *options: str) -> Path:
        """Make a key pair, and return the path of its private half."""
        path = self.ssh / name
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "someone@home", *options, "-f", path]
        subprocess.run(argv, check=True)
        return path

    def know(self, host: str = HOST, name: str = "host") -> Path:
        """Let the user know a host by a key, and return the key's path."""
        key = self.ssh / name
        if not key.exists():
            self.key(name)
        kind, blob, *_ = key.with_name(f"{name}.pub").read_text().split()
        with self.known_hosts.open("a") as file:
            file.write(f"{host} {kind} {blob}\n")
        return key


def make_spec(*entries: Ssh, unix: bool = True, root: bool = False) -> BottleSpec:
    """Return a spec with these entries, on a backend that does or does not carry sockets, and have root inside."""
    return BottleSpec(
        agent="reviewer",
        slug="reviewer",
        bottle="dev",
        agent_plugin="shell",
        backend=Choice("stage", "flag"),
        backend_traits=BackendTraits(runs="process", unix=unix, root=root),
        proxy=Choice("none", "flag"),
        egress=Egress(),
        folder=Path("/"),
        ssh=entries,
    )
