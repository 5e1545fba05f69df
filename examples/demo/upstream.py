"""The demo's piece of the Internet: an HTTPS server on loopback, and a throw-away CA that vouches for it."""

# ruff: noqa: INP001 - a script's neighbour, not part of a package

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Upstream"]


class Upstream:
    """The server while it runs: `port` on 127.0.0.1, the file `ca` to trust it by, and the requests it has seen.

    `plain` is `ADDRESS:PORT` of the same without TLS, at this machine's own address in its network.
    """

    def __init__(self, names: tuple[str, ...], folder: Path) -> None:
        self.ca = folder / "upstream-ca.pem"
        self.seen: list[str] = []
        pair = folder / "upstream.pem"
        self.ca.write_bytes(_issue(names, pair))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        inner, outer = (ThreadingHTTPServer((address, 0), _handler(self.seen)) for address in ("127.0.0.1", _address()))
        inner.socket = context.wrap_socket(inner.socket, server_side=True)
        self.port = inner.server_port
        self.plain = f"{outer.server_address[0]}:{outer.server_port}"
        self._servers = (inner, outer)
        for server in self._servers:
            threading.Thread(target=server.serve_forever, name="upstream", daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _address() -> str:
    """Return this machine's address in its network, loopback where it is in none."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # for documentation (RFC 5737): a datagram socket sends nothing here
            address: str = probe.getsockname()[0]
    except OSError:
        return "127.0.0.1"
    return address


def _handler(seen: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append(f"{self.command} {self.path} {body.decode('utf-8', 'replace')}")
            answer = f"hello from {self.headers['Host']}\n".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET  # noqa: N815 - as above

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing: the demo's output is its own."""

    return Handler


def _issue(names: tuple[str, ...], pair: Path) -> bytes:
    """Write a server's certificate for `names` and its key to `pair`, and return its CA's certificate (PEM)."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the demo's own upstream CA")])
    ca = (
        _certificate(issuer, issuer, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    certificate = (
        _certificate(subject, issuer, key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pair.touch(mode=0o600)
    pair.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + pem)
    return ca.public_bytes(serialization.Encoding.PEM)


def _certificate(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
