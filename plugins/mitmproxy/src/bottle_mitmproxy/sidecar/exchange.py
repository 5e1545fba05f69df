"""The way of a credential through the proxy: into one header on the way out, out of everything on the way back."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO

from mitmproxy import http
from msgspec import DecodeError, json

from bottle_mitmproxy.policy.decision import Decision
from bottle_mitmproxy.policy.policy import Policy
from bottle_mitmproxy.policy.vault import Cleaner, Entry, Field, Vault
from bottle_mitmproxy.settings import SettingsError
from bottle_mitmproxy.sidecar.body import BodyError, Cargo, unpacked
from claude_bottle.seam.part import HTTPS, Injection

__all__ = ["Exchange", "Inflater", "read_vault", "search"]

INFLATERS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
BODILESS = frozenset({204, 304})
PARTIAL = 206
STEP = 1 << 20
HEADER = 2
"""Bytes of zlib's header."""
OF_THE_PACKED = frozenset(
    {b"content-encoding", b"content-length", b"etag", b"content-md5", b"digest", b"accept-ranges"}
)
"""Headers that speak of a compressed body, and of no other."""

PLENTY, MOST_TIMES = 16 << 20, 100
"""Bytes that an answer may have however small it came, and how many times of what came it may have beyond them."""

Stream = Callable[[bytes], bytes]


def read_vault(injections: Iterable[Injection], stream: BinaryIO) -> Vault:
    """Read the credentials, one line of JSON: name to value and placeholder; SettingsError if one has not come."""
    wanted = tuple(injections)
    if not wanted:
        return Vault()
    try:
        given = json.decode(stream.readline(), type=dict[str, tuple[str, str]])
        return Vault(Entry(it, given[it.name][0].encode("ascii"), given[it.name][1].encode("ascii")) for it in wanted)
    except (DecodeError, KeyError, ValueError):
        raise SettingsError("the credentials to inject did not come") from None


def search(vault: Vault, cargo: Cargo) -> tuple[str, Injection] | None:
    """Return where a request carries a credential or a placeholder, and which; BodyError as `scan`."""
    if found := vault.find(cargo.target):
        return "URL", found
    for name, value in cargo.fields:
        if found := vault.find(name + b": " + value):
            return f"header {name.decode('ascii', 'replace').lower()}", found
    body = unpacked(cargo)
    forms = [cargo.body]
    forms += [body] if body is not cargo.body else []
    forms += [body.replace(b"+", b" ")] if b"+" in body else []
    found = next((found for form in forms if (found := vault.find(form))), None) or vault.find_packed(body)
    return ("body", found) if found else None


class Exchange:
    """One connection's requests and responses, with the credentials of the bottle."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault

    def slots(self, request: http.Request, decision: Decision, *, opened: bool) -> Mapping[int, bytes]:
        """Return the headers that a credential goes into; none on a connection without TLS of ours on both sides."""
        if not self.vault or not opened:
            return {}
        return self.vault.fill(decision.host, decision.port, request.headers.fields)

    def send(self, request: http.Request, slots: Mapping[int, bytes]) -> None:
        """Put the credentials in, and ask for an answer that can be looked into."""
        if not self.vault:
            return
        fields = enumerate(request.headers.fields)
        request.headers.fields = tuple((name, slots.get(at, value)) for at, (name, value) in fields)
        if "accept-encoding" in request.headers:
            usable = "gzip" in request.headers["accept-encoding"] and "range" not in request.headers
            request.headers["accept-encoding"] = "gzip" if usable else "identity"

    def receive(self, flow: http.HTTPFlow) -> Stream | None:
        """Take the credentials out of a response's head, and return what does so with its body; None if nothing can."""
        response = flow.response
        if response is None or not self.vault:
            return _as_it_is
        vault, headers = self.vault, response.headers
        fields = tuple((vault.clean(name), vault.clean(value)) for name, value in headers.fields)
        headers.fields = fields
        response.data.reason = vault.clean(response.data.reason)
        encoding, transfer = _all_of(fields, b"content-encoding"), _all_of(fields, b"transfer-encoding")
        length = _all_of(fields, b"content-length")
        cleaner = Cleaner(vault)
        bodiless = flow.request.method == "HEAD" or response.status_code in BODILESS
        if transfer not in {"", "chunked"}:
            return None
        if bodiless or encoding in {"", "identity"} or length == "0":
            return lambda data: cleaner.feed(data, last=not data)
        if encoding not in INFLATERS or response.status_code == PARTIAL:
            return None
        headers.fields = tuple((name, value) for name, value in fields if name.lower() not in OF_THE_PACKED)
        if length and flow.request.http_version == "HTTP/1.1":
            headers["transfer-encoding"] = "chunked"
        inflater = Inflater(INFLATERS[encoding])
        return lambda data: cleaner.feed(inflater.feed(data), last=not data)

    def finish(self, flow: http.HTTPFlow) -> None:
        """Take the credentials out of what follows the body."""
        if self.vault and flow.response and flow.response.trailers:
            fields = flow.response.trailers.fields
            flow.response.trailers.fields = tuple((name, self.vault.clean(value)) for name, value in fields)

    def refusal(self, policy: Policy, decision: Decision, where: str, injection: Injection) -> Decision:
        """Refuse a request that carries a credential, or its placeholder, where it does not belong."""
        name, form = injection.name, injection.format.replace("{}", f"${injection.name}")
        place = injection.host if injection.port == HTTPS else f"{injection.host}:{injection.port}"
        reason = f"the {where} carries {name}, which is for https://{place} alone, as `{injection.header}: {form}`"
        return policy.refuse(decision.host, decision.port, 403, "credential", reason)


class Inflater:
    """Undoes one content encoding as it comes; members may stand one behind the other.

    BodyError for an answer that is made to grow without end: the agent did not ask for compression, we did.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._head = b""
        self._stream = zlib.decompressobj(window)
        self._came = self._made = 0

    def feed(self, data: bytes) -> bytes:
        """Return what some more bytes stand for."""
        if self._came < HEADER:
            self._head += data
            self._came = len(self._head)
            if self._came < HEADER:
                return b""
            data = self._head
            if self._window == zlib.MAX_WBITS and not _has_header(data):
                self._window = -zlib.MAX_WBITS
                self._stream = zlib.decompressobj(self._window)
        else:
            self._came += len(data)
        return self._inflate(data)

    def _inflate(self, data: bytes) -> bytes:
        out, full = bytearray(), False
        while data or full:
            part = self._stream.decompress(data, STEP)
            out += part
            full = len(part) == STEP  # what was read is out only when there is room left
            self._made += len(part)
            if self._made > max(PLENTY, MOST_TIMES * self._came):
                raise BodyError(f"it grows to more than {MOST_TIMES} times of what was sent")
            data = self._stream.unconsumed_tail or self._stream.unused_data
            if self._stream.eof and data:
                self._stream = zlib.decompressobj(self._window)
        return bytes(out)


def _all_of(fields: Iterable[Field], name: bytes) -> str:
    """Return what a response says under a name, in one line: what is said twice counts twice."""
    return ", ".join(value.strip().lower().decode("ascii", "replace") for key, value in fields if key.lower() == name)


def _has_header(data: bytes) -> bool:
    """Tell zlib's header (RFC 1950) from `deflate` without one, which is in use too."""
    return data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:HEADER]) % 31 == 0


def _as_it_is(data: bytes) -> bytes:
    return data
