"""What lies behind a proxy under test: an HTTPS server under several names, with an authority of its own."""

import ssl
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from claude_bottle.plan.spec import Upstream as Behind

__all__ = ["ALLOWED", "OTHER", "WARN", "Upstream", "make_context"]

ALLOWED, WARN, OTHER = "api.kit.test", "warn.kit.test", "other.kit.test"


class Upstream:
    """A server that answers every request with `hello`, and notes each as one text."""

    def __init__(self, folder: Path, address: str, port: int = 0) -> None:
        self.address = address
        self.seen: list[str] = []
        self.ca = folder / "authority.pem"
        handler = type("Handler", (Handler,), {"seen": self.seen})
        self._server = ThreadingHTTPServer((address, port), handler)
        context = make_context(folder, self.ca, "conformance kit authority", (ALLOWED, WARN, OTHER))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def behind(self) -> Behind:
        """What a user's configuration would say of it."""
        place = f"{self.address}:{self._server.server_port}"
        return Behind(ca=(str(self.ca),), hosts=tuple((name, place) for name in (ALLOWED, WARN, OTHER)))

    def got(self, text: str) -> bool:
        """Whether some request that arrived holds a text."""
        return any(text in it for it in self.seen)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers every request."""

    seen: ClassVar[list[str]]
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Note it and answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("latin-1")
        self.seen.append(f"{self.command} {self.path}\n{self.headers}{body}")
        answer = f"hello from {self.headers['Host']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = do_GET  # noqa: N815 - the names that the standard library calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def make_context(folder: Path, ca_file: Path, authority: str, names: Sequence[str]) -> ssl.SSLContext:
    """Make an authority of that common name and a server's certificate for all names; the authority's is in a file.

    A name may be an address.
    """
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, authority)])
    ca = (
        _builder(issuer, issuer, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    certificate = (
        _builder(subject, issuer, key.public_key())
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    pair = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pair.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return context


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
