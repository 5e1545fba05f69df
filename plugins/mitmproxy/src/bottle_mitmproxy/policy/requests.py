"""Decisions about requests: where they may go, and whether they can be looked into at all."""

import re
from collections.abc import Iterable

from bottle_mitmproxy.policy.decision import Decision
from bottle_mitmproxy.policy.head import Head
from bottle_mitmproxy.policy.hosts import HostError, parse_host
from bottle_mitmproxy.policy.policy import Policy

__all__ = ["BODY_LIMIT", "ENCODINGS", "METHOD", "decide_fields", "decide_plain", "decide_tunnelled", "too_large"]

BODY_LIMIT = 64 << 20
"""Bytes of a request's body, as sent and as decoded."""

ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate", "br", "zstd"})
"""The content encodings that can be looked into, one at a time."""

METHOD = re.compile(r"[A-Z][A-Z-]{0,19}")
PATH = re.compile(rb"/[^\x00-\x20\x7f]*")
FIELD_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
LINE_END = re.compile(rb"[\x00\r\n]")
VERSIONS = frozenset({"HTTP/1.0", "HTTP/1.1", "HTTP/2.0"})


def decide_tunnelled(policy: Policy, tunnel: Decision, head: Head) -> Decision:
    """Decide on a request inside a tunnel: every name in it must be the tunnel's."""
    host, port = tunnel.host, tunnel.port
    decision = policy.target(host, port, plain=head.scheme == "http")
    if not decision.allowed:
        return decision
    if head.authority and head.version != "HTTP/2.0":  # an upstream may obey it, whatever Host says
        return policy.refuse(host, port, 400, "form", "a request inside a tunnel names its target in Host alone")
    return (
        policy.agree("SNI", head.sni, host, port)
        or policy.agree(":authority", head.authority or None, host, port)
        or _host_header(policy, head, host, port)
        or _form(policy, head, host, port)
        or _body(policy, head, host, port)
        or decision
    )


def decide_plain(policy: Policy, head: Head) -> Decision:
    """Decide on a request to the proxy itself, which goes on without TLS."""
    written = head.host
    try:
        text = written if written.isascii() else written.encode("idna").decode()  # mitmproxy has decoded it
        host = parse_host(f"[{text}]" if ":" in text and not text.startswith("[") else text)
    except (HostError, UnicodeError) as error:
        return policy.unreadable(written, str(error))
    if head.scheme != "http":
        return policy.refuse(host, head.port, 400, "form", f"{head.scheme or 'this'} goes through CONNECT")
    decision = policy.target(host, head.port, plain=True)
    if not decision.allowed:
        return decision
    return (
        _host_header(policy, head, host, head.port)
        or _form(policy, head, host, head.port)
        or _body(policy, head, host, head.port)
        or decision
    )


def too_large(policy: Policy, host: str, port: int) -> Decision:
    """Refuse a body that is longer than what is looked into."""
    reason = f"the body is larger than the {BODY_LIMIT >> 20} MiB that can be looked into"
    return policy.refuse(host, port, 413, "size", reason, line=f'egress.inspect: {{"{host}": opaque}}')


def decide_fields(policy: Policy, host: str, port: int, fields: Iterable[tuple[bytes, bytes]]) -> Decision | None:
    """Refuse a header or trailer that is not one line.

    HTTP/2 counts bytes where HTTP/1 looks for line ends: written out for an upstream that speaks the older
    one, a line end in a value is a header, or a whole request, that nobody has decided on (RFC 9113, 8.2.1).
    """
    if all(FIELD_NAME.fullmatch(name) and not LINE_END.search(value) for name, value in fields):
        return None
    return policy.refuse(host, port, 400, "form", "the request has a header that is not one line")


def _host_header(policy: Policy, head: Head, host: str, port: int) -> Decision | None:
    values = head.values(b"host")
    if len(values) > 1:
        return policy.refuse(host, port, 400, "form", "the request has two Host headers")
    return policy.agree("Host header", values[0] if values else None, host, port)


def _form(policy: Policy, head: Head, host: str, port: int) -> Decision | None:
    """Refuse what is no request, whatever the host."""
    if not METHOD.fullmatch(head.method) or head.method in {"CONNECT", "PRI"}:
        return policy.refuse(host, port, 400, "form", "this method goes nowhere")
    if head.version not in VERSIONS:
        return policy.refuse(host, port, 400, "form", "this is not HTTP/1.0, 1.1 or 2")
    if not PATH.fullmatch(head.path) and (head.method, head.path) != ("OPTIONS", b"*"):
        return policy.refuse(host, port, 400, "form", "the request's target is not a path")
    return decide_fields(policy, host, port, head.fields)


def _body(policy: Policy, head: Head, host: str, port: int) -> Decision | None:
    """Refuse what cannot be looked into, whatever the host."""
    encodings, transfers = head.values(b"content-encoding"), head.values(b"transfer-encoding")
    if len(encodings) > 1 or any(encoding.lower() not in ENCODINGS for encoding in encodings):
        reason = f"a body in the encoding {', '.join(encodings)[:60]!r} cannot be looked into"
        return policy.refuse(host, port, 415, "encoding", reason)
    if any(transfer.lower() != "chunked" for transfer in transfers):
        reason = "a body in a transfer encoding other than chunked cannot be looked into"
        return policy.refuse(host, port, 415, "encoding", reason)
    if any(not length.isdecimal() or int(length) > BODY_LIMIT for length in head.values(b"content-length")):
        return too_large(policy, host, port)
    return None
