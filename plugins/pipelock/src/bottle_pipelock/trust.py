"""The authorities whose certificates this machine believes, as one PEM bundle for the sidecar."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from claude_bottle.errors import NotFoundError

__all__ = ["read_bundle"]

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS
)


def read_bundle(extra: Iterable[str], environ: Mapping[str, str] = os.environ) -> bytes:
    """Return the host's bundle followed by the PEM files `extra`; NotFoundError for a file that is not there."""
    named = environ.get("SSL_CERT_FILE")
    candidates = (named,) if named else BUNDLES
    host = [path for path in candidates if Path(path).is_file()][:1]
    parts: list[bytes] = []
    for path in (*host, *extra):
        try:
            parts.append(Path(path).expanduser().read_bytes())
        except OSError as error:
            raise NotFoundError(f"the authorities in {path} cannot be read: {error.strerror}") from error
    return b"\n".join(parts) + b"\n"
