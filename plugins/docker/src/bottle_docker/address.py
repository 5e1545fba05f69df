"""Where the engine is: `DOCKER_HOST`, a context, or a socket. Nothing is asked, and no SDK is imported."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import DecodeError, Struct, json

from claude_bottle.errors import UnavailableError

__all__ = ["Address", "Tls", "find_address"]

SOCKET = "/var/run/docker.sock"


class Tls(Struct, frozen=True):
    """Files for a connection over TLS: authorities, certificate and key. Only a context can put `verify` off."""

    ca: str | None = None
    pair: tuple[str, str] | None = None
    verify: bool = True


class Address(Struct, frozen=True):
    """An engine's URL (`unix://`, `tcp://` or `ssh://`) and who named it."""

    url: str
    source: str
    tls: Tls | None = None

    @property
    def socket(self) -> str | None:
        """The path of its socket, None if it is none of this machine."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else None


def find_address(environ: Mapping[str, str] = os.environ) -> Address | None:
    """Return the address that `docker` itself would use; None if there is no sign of an engine.

    UnavailableError for a context that is named but not there, or an address that we cannot speak to.
    """
    if given := environ.get("DOCKER_HOST"):
        return _checked(Address(given, "DOCKER_HOST", _tls_of(environ)))
    folder = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME", "/"), ".docker"))
    name = environ.get("DOCKER_CONTEXT") or _current_context(folder)
    if name and name != "default":
        return _checked(_read_context(folder, name))
    rootless = Path(environ.get("XDG_RUNTIME_DIR", "/nowhere"), "docker.sock")
    for path in (Path(SOCKET), rootless):
        if path.is_socket():
            return Address(f"unix://{path}", str(path))
    return None


def _tls_of(environ: Mapping[str, str]) -> Tls | None:
    if not environ.get("DOCKER_TLS_VERIFY"):
        return None
    folder = Path(environ.get("DOCKER_CERT_PATH") or Path(environ.get("HOME", "/"), ".docker"))
    return Tls(str(folder / "ca.pem"), (str(folder / "cert.pem"), str(folder / "key.pem")))


def _current_context(folder: Path) -> str | None:
    found = _read_json(folder / "config.json")
    name = found.get("currentContext")
    return name if isinstance(name, str) else None


def _read_context(folder: Path, name: str) -> Address:
    """Return a context's engine, from where `docker context create` keeps it."""
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = _read_json(folder / "contexts" / "meta" / key / "meta.json")
    try:
        endpoint = meta["Endpoints"]["docker"]
        url = str(endpoint["Host"])
    except (KeyError, TypeError) as error:
        raise UnavailableError(f"there is no docker context {name}", "see `docker context ls`") from error
    files = folder / "contexts" / "tls" / key / "docker"
    tls = None
    if files.is_dir():
        ca, cert, private = (
            str(files / it) if (files / it).is_file() else None for it in ("ca.pem", "cert.pem", "key.pem")
        )
        pair = (cert, private) if cert and private else None
        tls = Tls(ca, pair, not endpoint.get("SkipTLSVerify", False))
    return Address(url, f"context {name}", tls)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, DecodeError):
        return {}


def _checked(address: Address) -> Address:
    scheme = address.url.partition("://")[0]
    if scheme in {"unix", "tcp", "ssh"}:
        return address
    raise UnavailableError(
        f"the engine at {address.url} ({address.source}) cannot be spoken to: {scheme} is not unix, tcp or ssh",
        "set DOCKER_HOST, or choose another context with DOCKER_CONTEXT",
    )
