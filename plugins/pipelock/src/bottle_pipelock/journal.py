"""pipelock's log and receipts as events: each request once, as far as its two records can be told to be one."""

import threading
import time
from collections.abc import Iterator, Mapping

from bottle_pipelock.records import Entry, Line, read_receipt
from bottle_pipelock.redact import Place, read_place, scrub
from bottle_pipelock.rules import DLP, fix_of, rule_of
from claude_bottle.seam.event import Event, Verdict

__all__ = ["Journal"]

HELD = 10_000
"""Requests that are remembered until their receipts come."""

FINDINGS: Mapping[str, str] = {
    "body_dlp": "request body contains secret",
    "header_dlp": "request header contains secret",
    "response_scan": "response looks like an injected instruction",
}


class Journal:
    """Remembers what was reported. Threads may share it.

    Refusals and findings have a line in the log, and so has a plain request that passes. A request that passes
    in an opened tunnel has a receipt alone, written when it is over; if something was found in it, it has both,
    and what comes second is dropped. Where two requests of a tunnel are alike, one may be reported twice, none is lost.
    """

    def __init__(self, bottle: str, name: str) -> None:
        self._lock = threading.Lock()
        self._bottle = bottle
        self._name = name
        self._told: set[tuple[str, str, str]] = set()
        self._read: dict[str, int] = {}

    def line(self, line: Line) -> Event | None:
        """Return what a line of the log reports, None if that is nothing that anybody asked of the proxy."""
        with self._lock:
            return self._line(line)

    def _line(self, line: Line) -> Event | None:
        match line.event:
            case "blocked" | "sni_mismatch":
                return self._refused(line)
            case "anomaly" | "body_dlp" | "header_dlp" | "response_scan":
                return self._found(line)
            case "tunnel_open" | "forward_http" | "allowed":
                return self._passed(line)
            case "error":
                return self._failed(line)
            case _:
                return None

    def receipts(self, files: Mapping[str, bytes]) -> list[Event]:
        """Return what the recorder's files report since the last time; a line that is not whole yet waits."""
        with self._lock:
            return list(self._receipts(files))

    def _receipts(self, files: Mapping[str, bytes]) -> Iterator[Event]:
        for name, content in sorted(files.items()):
            start = self._read.get(name, 0)
            end = content.rfind(b"\n") + 1
            self._read[name] = max(start, end)
            for text in content[start:end].splitlines():
                entry = read_receipt(text)
                if entry is not None and (event := self._receipt(entry)):
                    yield event

    def _receipt(self, entry: Entry) -> Event | None:
        record = entry.detail.action_record
        if record.transport != "intercept" or record.verdict != "allow":
            return None
        if self._is_told((record.request_id, record.method, record.target)):
            return None
        place = read_place(record.target)
        return Event(
            time=entry.ts.timestamp(),
            verdict="allow",
            bottle=self._bottle,
            host=place.host,
            port=place.port,
            method=scrub(record.method),
            path=place.path,
        )

    def _refused(self, line: Line) -> Event:
        self._told.discard(_key(line))  # a refused answer has no receipt that says it passed
        scanner, reason, place = line.scanner, line.reason, _place(line)
        if line.event == "sni_mismatch":
            scanner, place = line.event, read_place(line.connect_host)
            reason = f"the TLS handshake names {line.sni_host or 'no host'}, the connection {line.connect_host}"
        elif scanner == "tls_authority_mismatch":  # its URL is the name that was put forward
            place = read_place(reason.rpartition(" vs ")[2])
        elif scanner == "tls_handshake_error":
            reason = f"no TLS with the client, which may not trust this bottle's CA: {reason}"
        rule = rule_of(scanner, reason)
        if scanner == "sse_stream" and rule == "response":  # findings only warn there: either side has gone away
            rule = "upstream"
        status = None if rule in {"tls", "upstream"} or not line.reason else 429 if rule == "rate" else 403
        return self._event(line, "allow" if rule == "upstream" else "deny", place, rule, reason, status)

    def _found(self, line: Line) -> Event | None:
        """Report a finding; in plain HTTP it is also how a refusal is written."""
        place = _place(line)
        if not place.host or line.scanner == "tls_intercept":  # that one says that a tunnel is opened, as all are
            return None
        blocked = line.action == "block"
        if not blocked:
            self._tell(line)
        scanner = line.scanner or line.event
        reason = line.reason or f"{FINDINGS.get(line.event, line.event)}: {', '.join(line.patterns)}"
        verdict: Verdict = "deny" if blocked else "warn"
        return self._event(line, verdict, place, rule_of(scanner, reason), reason, 403 if blocked else None)

    def _passed(self, line: Line) -> Event | None:
        if self._is_told(_key(line)):
            return None
        return self._event(line, "allow", _place(line), status=line.status_code)

    def _failed(self, line: Line) -> Event | None:
        """Report an upstream that could not be reached: nothing was refused, unless by the address that it has now."""
        self._told.discard(_key(line))
        place = _place(line)
        if not place.host or line.error.startswith("client TLS handshake"):
            return None
        if "SSRF blocked" in line.error:
            return self._event(line, "deny", place, "address", line.error, 502)
        return self._event(line, "allow", place, "upstream", line.error, 502)

    def _event(
        self, line: Line, verdict: Verdict, place: Place, rule: str = "", reason: str = "", status: int | None = None
    ) -> Event:
        tls = line.url.startswith("https:")
        fix = fix_of(rule, reason, place, tls=tls, bottle=self._name) if verdict == "deny" else ""
        return Event(
            time=line.time.timestamp() if line.time else time.time(),
            verdict=verdict,
            bottle=self._bottle,
            host=place.host,
            port=place.port,
            method=scrub(line.method or "CONNECT"),
            path=place.path,
            status=status,
            reason=scrub(reason),
            rule=rule,
            fix=fix,
            received=line.size_bytes,
        )

    def _tell(self, line: Line) -> None:
        """Remember a request whose other record may still come."""
        if len(self._told) >= HELD:
            self._told.clear()
        self._told.add(_key(line))

    def _is_told(self, key: tuple[str, str, str]) -> bool:
        told = key in self._told
        self._told.discard(key)
        return told


def _key(line: Line) -> tuple[str, str, str]:
    """Return what a line has in common with the other record of the same request."""
    return line.request_id, line.method, line.url


def _place(line: Line) -> Place:
    """Return where a line's request went, without its path if that may be what was found."""
    place = read_place(line.url or line.target)
    return place._replace(path="") if {line.scanner, line.event} & DLP else place
