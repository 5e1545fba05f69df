"""pipelock's log and receipts as events. No secret is in any: where one was found, no path is told.

Its log has what it refused and what it tunnelled; requests inside opened TLS that it let through are in its signed
receipts alone. A secret in a URL stands in clear in the log, so a line of a content scanner gives its host alone.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from msgspec import DecodeError, Struct, json

from claude_bottle.seam.event import Event, Verdict

__all__ = ["Journal", "Line"]

RULES = {
    "allowlist": "allowlist",
    "blocklist": "allowlist",
    "ssrf": "address",
    "core_ssrf": "address",
    "dlp": "dlp",
    "core_dlp": "dlp",
    "body_dlp": "dlp",
    "header_dlp": "dlp",
    "entropy": "dlp",
    "subdomain_entropy": "dlp",
    "tls_authority_mismatch": "mismatch",
    "tls_handshake_error": "tls",
    "tls_response_blocked": "size",
    "length": "form",
    "parser": "form",
    "scheme": "form",
    "ratelimit": "limit",
}
"""Its scanners, and the word for each."""

CONTENT = frozenset({"dlp", "core_dlp", "body_dlp", "header_dlp", "entropy", "subdomain_entropy", "response_scan"})
INTERNAL = re.compile(r"resolves to internal IP ([0-9a-f.:]+)")
NOISE = frozenset({"tls_intercept", "response_scan", "sse_stream", "core_response"})
"""Scanners whose findings are no decision about what leaves."""


class Line(Struct, frozen=True):
    """One line of its log, as far as it is read."""

    event: str = ""
    time: str = ""
    method: str = ""
    target: str = ""
    url: str = ""
    resource: str = ""
    scanner: str = ""
    reason: str = ""
    action: str = ""
    status: str = ""
    error: str = ""
    patterns: tuple[str, ...] = ()
    request_id: str = ""
    status_code: int | None = None
    size_bytes: int | None = None
    total_bytes: int | None = None


class Action(Struct, frozen=True):
    """What a receipt vouches for."""

    target: str = ""
    verdict: str = ""
    transport: str = ""
    method: str = ""
    request_id: str = ""


class Detail(Struct, frozen=True):
    """The receipt inside an entry."""

    action_record: Action = Action()


class Entry(Struct, frozen=True):
    """One line of its evidence."""

    ts: str = ""
    type: str = ""
    detail: Detail = Detail()


class Journal:
    """Turns lines into events, each request into one; `name` is the bottle's, as commands take it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told: set[tuple[str, str]] = set()
        self._open: dict[str, Line] = {}
        self._log, self._evidence = json.Decoder(Line), json.Decoder(Entry)

    def parse(self, text: bytes) -> Line | None:
        """Return a line of the log; None if it is none."""
        try:
            return self._log.decode(text)
        except DecodeError:
            return None

    def of_line(self, line: Line) -> Iterator[Event]:
        """Yield what a line of the log says was decided."""
        match line.event:
            case "blocked":
                yield self._event(line, "deny", line.scanner, line.reason)
            case "body_dlp" | "header_dlp":
                self._told.add((line.request_id, _bare(line.url)))
                verdict: Verdict = "deny" if line.action == "block" else "warn"
                yield self._event(line, verdict, line.event, f"it carries a {', '.join(line.patterns) or 'credential'}")
            case "anomaly" if line.scanner and line.scanner not in NOISE:
                self._told.add((line.request_id, _bare(line.url)))
                yield self._event(line, "warn", line.scanner, line.reason)
            case "sni_mismatch":
                yield self._event(line, "deny", "tls_authority_mismatch", line.reason or "SNI is not the CONNECT host")
            case "tunnel_open":
                self._open[line.request_id] = line
            case "tunnel_close":
                self._open.pop(line.request_id, None)
                yield self._event(line, "allow", "", "", received=line.total_bytes)
            case "forward_http" if (line.request_id, _bare(line.url)) not in self._told:
                yield self._event(line, "allow", "", "", status=line.status_code, received=line.size_bytes)
            case _:
                return

    def of_receipt(self, text: bytes) -> Iterator[Event]:
        """Yield the request that a line of the evidence vouches for, if it was let through inside opened TLS."""
        try:
            entry = self._evidence.decode(text)
        except DecodeError:
            return
        action = entry.detail.action_record
        if action.transport != "intercept" or action.verdict != "allow" or "://" not in action.target:
            return
        if (action.request_id, _bare(action.target)) not in self._told:
            host, port, path = _place(action.target)
            yield Event(time=_seconds(entry.ts), verdict="allow", host=host, port=port, method=action.method, path=path)

    def still_open(self) -> Iterator[Event]:
        """Yield the tunnels whose end was not seen."""
        for line in self._open.values():
            yield self._event(line, "allow", "", "")
        self._open.clear()

    def _event(
        self,
        line: Line,
        verdict: Verdict,
        scanner: str,
        reason: str,
        *,
        status: int | None = None,
        received: int | None = None,
    ) -> Event:
        host, port, path = _place(line.url or line.target or line.resource)
        rule = "upstream" if "DNS resolution error" in reason else RULES.get(scanner, scanner)
        refused = verdict == "deny"
        method = "CONNECT" if line.target and not line.url else line.method
        outside = refused and rule == "allowlist"
        inside = INTERNAL.search(reason) if rule == "address" else None
        return Event(
            time=_seconds(line.time),
            verdict=verdict,
            host=host,
            port=port,
            method=method,
            path="" if scanner in CONTENT or method == "CONNECT" else path,
            status=status if status is not None else 403 if refused else None,
            reason=f"host {host} is not in this bottle's egress allowlist" if outside else _clean(reason, scanner),
            rule=rule if verdict != "allow" else "",
            fix=f"bottle allow {self._name} {host}" if outside else _line(inside[1]) if inside else "",
            received=received,
        )


def _line(address: str) -> str:
    """Return the line of a manifest that lets an allowed name lead to an address."""
    return f"egress.private_addresses: [{address}/{128 if ':' in address else 32}]"


def _clean(reason: str, scanner: str) -> str:
    """Return a scanner's sentence; what stands after the names of patterns may be what was found."""
    return reason.partition("(")[0].strip() if scanner in CONTENT else reason


def _place(target: str) -> tuple[str, int | None, str]:
    """Return host, port and path, without a query, of a URL or of `host:port`."""
    try:
        parts = urlsplit(target if "://" in target else f"//{target}")
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return target.partition("/")[0], None, ""
    return parts.hostname or "", port, parts.path


def _bare(url: str) -> str:
    """Return what log and receipt call a request alike: everything but its query."""
    host, port, path = _place(url)
    return f"{host}:{port}{path}"


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text[:19] + "+00:00" if text.endswith("Z") else text).timestamp()
    except ValueError:
        return 0.0
