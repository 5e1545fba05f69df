"""The bottle's certificate authority: made in memory at the start, signs leaf certificates, dies with the process."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

__all__ = ["Authority", "make_authority"]

LIFETIME = timedelta(days=30)
"""The key ends with the bottle; a session that is left open for some weeks still has its way out."""
SKEW = timedelta(hours=1)


class Authority:
    """A key that is never written, and its certificate."""

    __slots__ = ("certificate", "key")

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.key = key
        self.certificate = certificate

    def __repr__(self) -> str:
        return "<Authority>"

    @property
    def pem(self) -> str:
        """The certificate, which is all that ever leaves the process."""
        return self.certificate.public_bytes(Encoding.PEM).decode()


def make_authority(bottle: str) -> Authority:
    """Return a new authority: P-256, valid for 30 days, for server certificates alone.

    No name constraints: hosts may be allowed while it runs, and the key cannot be had from outside.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "claude-bottle"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"claude-bottle {bottle}"[:64]),
        ]
    )
    now = datetime.now(UTC)
    builder = (
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
    )
    return Authority(key, builder.sign(key, hashes.SHA256()))


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
