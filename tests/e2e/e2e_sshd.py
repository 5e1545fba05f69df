"""A real sshd, run by hand with keys and a configuration of its own: at an address that the proxy reaches."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from e2e_user import User

__all__ = ["Sshd", "make_key"]

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key pair, and return the path of its private half."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "someone@home", "-f", path], check=True)
    return path


class Sshd:
    """A server that lets this test's own user in with the keys in `authorized`; its log is in `log`."""

    def __init__(self, folder: Path, address: str, *options: str) -> None:
        if SSHD is None:
            pytest.skip("no sshd on this machine: apt-get install openssh-server")
        folder.mkdir(parents=True)
        self.folder, self.address, self.user = folder, address, getpass.getuser()
        self.key = make_key(folder / "host")
        self.authorized = folder / "authorized"
        self.authorized.touch()
        self.log = folder / "log"
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # root's own asks for it
        with socket.create_server((address, 0)) as probe:
            self.port: int = probe.getsockname()[1]
        lines = (
            f"ListenAddress {address}:{self.port}",
            f"HostKey {self.key}",
            f"AuthorizedKeysFile {self.authorized}",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "Subsystem sftp internal-sftp",
            *options,
        )
        (folder / "config").write_text("".join(f"{line}\n" for line in lines))
        self._process = self._begin()

    def _begin(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([str(SSHD), "-D", "-f", self.folder / "config", "-E", self.log], cwd="/")
        deadline = time.monotonic() + 10
        while b"SSH-2.0" not in self._banner():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return process

    def restart(self) -> None:
        """Read the configuration again."""
        self.close()
        self._process = self._begin()

    def _banner(self) -> bytes:
        try:
            with socket.create_connection((self.address, self.port), 2) as peer:
                return peer.recv(64)
        except OSError:
            return b""

    @property
    def public(self) -> str:
        """The host's key, as a `known_hosts` has it behind the name."""
        kind, blob, *_ = self.key.with_suffix(".pub").read_text().split()
        return f"{kind} {blob}"

    def admit(self, *keys: Path) -> None:
        """Let in whoever has one of these keys, by the path of their private half."""
        with self.authorized.open("a") as file:
            file.writelines(key.with_name(f"{key.name}.pub").read_text() for key in keys)

    def entry(self, host: str, key: Path, **changed: Any) -> dict[str, Any]:
        """Return a manifest's entry for this server under a name."""
        return {"host": host, "user": self.user, "port": self.port, "identity_file": str(key), **changed}

    def known(self, *hosts: str) -> Sequence[str]:
        """Return lines of a `known_hosts` that vouch for it under these names."""
        return [f"[{host}]:{self.port} {self.public}\n" for host in hosts]

    def lead(self, user: User, *hosts: str) -> None:
        """Let a user's proxy find it under these names, and their `known_hosts` vouch for it."""
        config = user.config / "config.yaml"
        lines = "".join(f"    {host}: {self.address}:{self.port}\n" for host in hosts)
        config.write_text(config.read_text().replace("  hosts:\n", f"  hosts:\n{lines}"))
        folder = user.home / ".ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        with (folder / "known_hosts").open("a") as file:
            file.writelines(self.known(*hosts))

    def close(self) -> None:
        """Stop serving: whoever is logged in is logged out."""
        self._process.terminate()
        self._process.wait(10)
