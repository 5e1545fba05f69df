"""The CA bundle of a bottle: the host's own, and the CA of its proxy."""

import os
from pathlib import Path

from claude_bottle.seam.environ import BUNDLE

__all__ = ["OTHER_BUNDLES", "TrustFiles", "host_bundle"]

OTHER_BUNDLES = ("/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")
"""Where other distributions than Debian have the bundle, and their programs look for it."""


class TrustFiles:
    """Two files that are bound into a sandbox while they are empty, and filled when there is a CA.

    `folder` can be entered by the sandbox's uid: bubblewrap follows the path even of what it is given as a
    descriptor.
    """

    def __init__(self, folder: Path) -> None:
        self.bundle = folder / "bundle.crt"
        self.ca = folder / "ca.crt"

    def make(self) -> None:
        """Make both, empty, readable by whoever reaches them."""
        for path in (self.bundle, self.ca):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            os.fchmod(fd, 0o644)
            os.close(fd)

    def fill(self, ca: bytes) -> None:
        """Write both in place: what is bound inside is the file, not its name."""
        self.ca.write_bytes(ca)
        self.bundle.write_bytes(host_bundle() + b"\n" + ca)


def host_bundle() -> bytes:
    """Return the certificates that this machine trusts, as PEM; empty if it has no bundle."""
    for path in (BUNDLE, *OTHER_BUNDLES):
        try:
            return Path(path).read_bytes()
        except OSError:
            continue
    return b""
