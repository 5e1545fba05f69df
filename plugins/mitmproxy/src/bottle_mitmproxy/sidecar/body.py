"""What a request carries, with its content encoding undone, looked through for credentials."""

import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import brotli  # pyright: ignore[reportMissingTypeStubs] - it has none
import zstandard

from bottle_mitmproxy.policy.requests import BODY_LIMIT
from bottle_mitmproxy.policy.scanner import find_credential, find_in_form, find_in_url

__all__ = ["BodyError", "Cargo", "decode", "scan", "unpacked"]

STEP = 1 << 16
BROTLI: Any = brotli


class BodyError(ValueError):
    """A body that cannot be looked into."""


class Cargo(NamedTuple):
    """What leaves with a request: its path and query, its headers and trailers, its body as it was sent."""

    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def value(self, name: bytes) -> bytes:
        """Return the first value of a header in lower case, empty if it is not there."""
        return next((value.strip().lower() for key, value in self.fields if key.lower() == name), b"")


def scan(cargo: Cargo) -> tuple[str, str] | None:
    """Return the issuer of a credential and where it stands, None if there is none.

    BodyError if the body is not what its encoding says, or grows beyond the limit.
    """
    if issuer := find_in_url(cargo.target):
        return issuer, "URL"
    for name, value in cargo.fields:
        if issuer := find_credential(name + b": " + value):
            return issuer, f"header {name.decode('ascii', 'replace').lower()}"
    issuer = find_credential(cargo.body) or _find_decoded(cargo)
    return (issuer, "body") if issuer else None


def _find_decoded(cargo: Cargo) -> str | None:
    """Look at the body without its encodings, where it has any."""
    body = unpacked(cargo)
    issuer = find_credential(body) if body is not cargo.body else None
    if not issuer and cargo.value(b"content-type").startswith(b"application/x-www-form-urlencoded"):
        issuer = find_in_form(body)
    return issuer


def unpacked(cargo: Cargo) -> bytes:
    """Return the body without its content encoding, the very object where it has none; BodyError as `decode`."""
    encoding = cargo.value(b"content-encoding").decode("ascii", "replace")
    return decode(cargo.body, encoding) if encoding not in {"", "identity"} and cargo.body else cargo.body


def decode(body: bytes, encoding: str) -> bytes:
    """Undo one content encoding, of all members that stand one behind the other; BodyError for anything else."""
    try:
        return DECODERS[encoding](body)
    except (zlib.error, zstandard.ZstdError, BROTLI.error, EOFError) as error:
        raise BodyError(f"the body is not {encoding}") from error


def _limited(parts: Iterator[bytes]) -> bytes:
    whole = bytearray()
    for part in parts:
        whole += part
        if len(whole) > BODY_LIMIT:
            raise BodyError(f"the body is larger than {BODY_LIMIT >> 20} MiB when decoded")
    return bytes(whole)


def _inflate(body: bytes, window: int) -> Iterator[bytes]:
    while body:
        stream = zlib.decompressobj(window)
        while body and not stream.eof:
            yield stream.decompress(body, STEP)
            body = stream.unconsumed_tail or stream.unused_data
        if not stream.eof:
            raise EOFError


def _gunzip(body: bytes) -> bytes:
    return _limited(_inflate(body, 16 + zlib.MAX_WBITS))


def _undeflate(body: bytes) -> bytes:
    """Both readings of `deflate` are in use: with zlib's header (RFC 9110) and without."""
    try:
        return _limited(_inflate(body, zlib.MAX_WBITS))
    except zlib.error:
        return _limited(_inflate(body, -zlib.MAX_WBITS))


def _unbrotli(body: bytes) -> bytes:
    def parts() -> Iterator[bytes]:
        stream = BROTLI.Decompressor()
        for at in range(0, len(body), STEP):
            yield stream.process(body[at : at + STEP])
        if not stream.is_finished():
            raise EOFError

    return _limited(parts())


def _unzstd(body: bytes) -> bytes:
    def parts() -> Iterator[bytes]:
        with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(body, read_across_frames=True) as stream:
            while part := stream.read(STEP):
                yield part

    return _limited(parts())


DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
