"""Why pipelock refused something, in the short words that events have, and the line that would allow it."""

import re
from collections.abc import Mapping

from bottle_pipelock.redact import Place

__all__ = ["DLP", "fix_of", "rule_of"]

USUAL_PORTS = frozenset({80, 443})

DLP = frozenset({"body_dlp", "header_dlp", "core_dlp", "dlp", "entropy", "subdomain_entropy", "seed_phrase"})
"""Scanners of what is sent: what they name may stand in the path."""

RULES: Mapping[str, str] = {
    **dict.fromkeys(DLP, "dlp"),
    "allowlist": "allowlist",
    "blocklist": "allowlist",
    "scheme": "protocol",
    "parser": "host",
    "ssrf": "address",
    "core_ssrf": "address",
    "length": "size",
    "path_traversal": "form",
    "crlf_injection": "form",
    "ratelimit": "rate",
    "databudget": "rate",
    "budget": "rate",
    "tls_handshake_error": "tls",
    "tls_authority_mismatch": "mismatch",
    "sni_mismatch": "mismatch",
    "tls_response_blocked": "response",
    "response_scan": "response",
    "core_response": "response",
    "sse_stream": "response",
    "media_policy": "response",
}

# What pipelock counts among the findings of a scanner, and is none.
BY_REASON = (
    ("DNS resolution error", "upstream"),
    ("Content-Encoding", "encoding"),
    ("compressed", "encoding"),
    ("max_body_bytes", "size"),
    ("too large", "size"),
    ("invalid JSON", "form"),
    ("multipart", "form"),
    ("form", "form"),
)
UNREADABLE = frozenset({"encoding", "size", "form", "response"})
ADDRESS = re.compile(r"internal IP (?P<ip>[0-9a-fA-F.:]+)")


def rule_of(scanner: str, reason: str) -> str:
    """Return one word: that of the scanner, unless the reason tells better."""
    if scanner in {"ssrf", "body_dlp", "tls_response_blocked", "sse_stream"}:
        for words, rule in BY_REASON:
            if words in reason:
                return rule
    return RULES.get(scanner, scanner[:40] or "pipelock")


def fix_of(rule: str, reason: str, place: Place, *, tls: bool, bottle: str) -> str:
    """Return the command, or the line of the manifest, that would allow it; empty where nothing would.

    `tls`: it was seen in an opened tunnel, which could stay closed; plain HTTP is scanned whatever is asked.
    """
    if "[" in place.host or not place.host:
        return ""
    host = f"[{place.host}]" if ":" in place.host else place.host
    if rule == "allowlist":
        entry = place.host if place.port in USUAL_PORTS or place.port is None else f"{host}:{place.port}"
        return f"bottle allow {bottle} {entry}"
    if rule == "address" and (found := ADDRESS.search(reason)):
        return f"egress.private_addresses: [{found['ip']}/{128 if ':' in found['ip'] else 32}]"
    if tls and (rule == "dlp" or rule in UNREADABLE):
        return f'egress.inspect: {{"{place.host}": opaque}}'
    return ""
