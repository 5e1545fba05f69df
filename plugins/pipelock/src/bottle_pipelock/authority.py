"""The keys of one bottle's pipelock: the authority by which TLS is opened, and what signs its receipts.

Both are made when the sidecar starts, lie in its own volume alone, and go with it.
"""

import base64
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

__all__ = ["Authority", "make_authority", "make_receipt_key"]

LIFETIME = timedelta(days=1)
SKEW = timedelta(hours=1)


class Authority:
    """A certificate and its key, both in PEM. The key is in no repr."""

    __slots__ = ("certificate", "key")

    def __init__(self, certificate: bytes, key: bytes) -> None:
        self.certificate = certificate
        self.key = key

    def __repr__(self) -> str:
        return "<Authority>"


def make_authority(bottle: str) -> Authority:
    """Return a new authority as pipelock takes it: P-256, the key in SEC1, with a key identifier, valid for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "claude-bottle"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"claude-bottle {bottle}"[:64]),
        ]
    )
    now = datetime.now(UTC)
    usages = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usages), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    sec1 = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return Authority(certificate.public_bytes(Encoding.PEM), sec1)


def make_receipt_key() -> bytes:
    """Return a new Ed25519 key in pipelock's own form: seed and public key in base64 below a line that says so."""
    key = ed25519.Ed25519PrivateKey.generate()
    seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return b"pipelock-ed25519-private-v1\n" + base64.b64encode(seed + public) + b"\n"
