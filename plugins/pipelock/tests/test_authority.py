"""The authority and the key of the receipts."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bottle_pipelock.authority import make_authority, make_receipt_key


def test_the_certificate_is_what_pipelock_and_strict_clients_accept() -> None:
    """P-256, an authority that may sign, with a key identifier, valid now and for 30 days."""
    certificate = x509.load_pem_x509_certificate(make_authority("demo").certificate)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    extensions = certificate.extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
    identifier = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert identifier == x509.SubjectKeyIdentifier.from_public_key(key)
    now = datetime.now(UTC)
    assert certificate.not_valid_before_utc < now - timedelta(minutes=30)
    assert now + timedelta(days=29, hours=23) < certificate.not_valid_after_utc <= now + timedelta(days=30)


def test_the_key_is_in_the_one_form_that_pipelock_reads() -> None:
    """SEC1, and the certificate's own."""
    authority = make_authority("demo")
    assert authority.key.startswith(b"-----BEGIN EC PRIVATE KEY-----")
    key = load_pem_private_key(authority.key, None)
    assert key.public_key() == x509.load_pem_x509_certificate(authority.certificate).public_key()


def test_nothing_shows_the_key() -> None:
    """Not the text of the object, and not the certificate."""
    authority = make_authority("demo")
    secret = authority.key.split(b"-----")[2].split()[0].decode()
    assert secret not in f"{authority!r} {authority} {authority.certificate.decode()}"


def test_no_two_launches_share_anything() -> None:
    """Each call makes another authority and another key."""
    assert make_authority("demo").key != make_authority("demo").key
    assert make_receipt_key() != make_receipt_key()


def test_a_long_name_still_makes_a_certificate() -> None:
    """A common name has at most 64 characters."""
    assert make_authority("x" * 200).certificate


def test_the_receipt_key_has_pipelocks_form() -> None:
    """A line that names it, then seed and public key in base64."""
    name, words, rest = make_receipt_key().split(b"\n")
    raw = b64decode(words, validate=True)
    assert (name, rest, len(raw)) == (b"pipelock-ed25519-private-v1", b"", 64)
    assert ed25519.Ed25519PrivateKey.from_private_bytes(raw[:32]).public_key().public_bytes_raw() == raw[32:]
