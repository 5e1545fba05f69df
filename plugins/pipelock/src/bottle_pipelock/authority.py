"""What is made for one launch and dies with it: the bottle's certificate authority, and the key of the receipts."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

__all__ = ["Authority", "make_authority", "make_receipt_key"]

LIFETIME = timedelta(days=30)
"""The key ends with the bottle; a session that is left open for some weeks still has its way out."""
SKEW = timedelta(hours=1)


class Authority:
    """The PEM of a certificate, and of its key, which no text shows."""

    __slots__ = ("certificate", "key")

    def __init__(self, certificate: bytes, key: bytes) -> None:
        self.certificate = certificate
        self.key = key

    def __repr__(self) -> str:
        return "<Authority>"


def make_authority(bottle: str) -> Authority:
    """Return a new authority: P-256, valid for 30 days, its key in SEC1, the one form that pipelock reads."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "claude-bottle"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"claude-bottle {bottle}"[:64]),
        ]
    )
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_key_usage(), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    )


def make_receipt_key() -> bytes:
    """Return a new Ed25519 key in pipelock's own form: a line that names it, and seed and public key in base64."""
    key = ed25519.Ed25519PrivateKey.generate()
    words = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    return b"pipelock-ed25519-private-v1\n" + b64encode(words) + b"\n"


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
