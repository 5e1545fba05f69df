"""The authorities whose certificates this machine believes, as one PEM bundle for the proxy."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from claude_bottle.errors import NotFoundError

__all__ = ["find_bundle", "read_bundle"]

# Where distributions keep it; Python's own idea of it is wrong wherever it brings its own OpenSSL.
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, Alpine without the package
)


def find_bundle(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the host's bundle: `SSL_CERT_FILE` if it is set, else the distribution's; None if there is none."""
    named = environ.get("SSL_CERT_FILE")
    candidates: Iterable[str] = (named,) if named else BUNDLES
    return next((Path(path) for path in candidates if Path(path).is_file()), None)


def read_bundle(extra: Iterable[str], environ: Mapping[str, str] = os.environ) -> bytes:
    """Return the host's bundle followed by the PEM files `extra`; NotFoundError for a file that is not there."""
    bundle = find_bundle(environ)
    return b"\n".join(_read([bundle] if bundle else [])) + b"\n" + b"\n".join(_read(map(Path, extra)))


def _read(paths: Iterable[Path]) -> Iterator[bytes]:
    for path in paths:
        try:
            yield path.expanduser().read_bytes()
        except OSError as error:
            raise NotFoundError(f"the authorities in {path} cannot be read: {error.strerror}") from error
