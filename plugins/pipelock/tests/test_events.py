"""pipelock's own lines, as they were seen, and the events that they become."""

import json
from typing import Any

import pytest

from bottle_pipelock.events import Journal
from claude_bottle.seam.event import Event

TOKEN = "ghp_" + "0123456789abcdef" * 2 + "0123"
BLOCKED = {
    "level": "warn",
    "component": "pipelock",
    "event": "blocked",
    "method": "CONNECT",
    "target": "example.com:443",
    "client_ip": "172.18.0.3",
    "request_id": "req-6",
    "scanner": "allowlist",
    "reason": "domain not in allowlist: example.com",
    "time": "2026-11-23T14:23:31Z",
}


def events(*lines: dict[str, Any], receipts: tuple[dict[str, Any], ...] = ()) -> list[Event]:
    """Return what a journal makes of lines of the log, then of receipts."""
    journal = Journal("reviewer")
    found: list[Event] = []
    for line in lines:
        parsed = journal.parse(json.dumps(line).encode())
        assert parsed is not None
        found += journal.of_line(parsed)
    for receipt in receipts:
        found += journal.of_receipt(json.dumps(receipt).encode())
    return [*found, *journal.still_open()]


def receipt(target: str, **record: str) -> dict[str, Any]:
    """Return a line of the evidence."""
    action = {"target": target, "verdict": "allow", "transport": "intercept", "method": "GET", **record}
    return {
        "v": 1,
        "ts": "2026-11-23T14:23:30.521420524Z",
        "type": "action_receipt",
        "detail": {"action_record": action},
    }


def test_a_refused_host_says_what_would_allow_it() -> None:
    """S5: its own text cannot, so the event does."""
    (event,) = events(BLOCKED)
    assert (event.verdict, event.host, event.port, event.method, event.status) == (
        "deny",
        "example.com",
        443,
        "CONNECT",
        403,
    )
    assert event.rule == "allowlist"
    assert event.fix == "bottle allow reviewer example.com"
    assert event.reason == "host example.com is not in this bottle's egress allowlist"
    assert event.time == 1795443811.0


@pytest.mark.parametrize("scanner", ["core_dlp", "body_dlp", "header_dlp", "dlp", "entropy"])
def test_a_secret_in_a_url_is_not_told(scanner: str) -> None:
    """S2: the log has the whole URL in clear; of what a content scanner found, the host alone is told."""
    url = f"https://api.test/path/{TOKEN}?token={TOKEN}"
    line = {**BLOCKED, "target": "", "url": url, "method": "GET", "scanner": scanner, "reason": f"DLP match ({TOKEN})"}
    (event,) = events(line)
    assert TOKEN not in repr(event)
    assert (event.host, event.path, event.rule) == ("api.test", "", "dlp")


@pytest.mark.parametrize(
    "line",
    [
        {"event": "anomaly", "scanner": "tls_intercept", "target": "api.test:443"},
        {"event": "error", "method": "close", "error": "use of closed network connection"},
        {"event": "response_scan", "url": "https://api.test/", "action": "warn"},
        {"event": "startup"},
        {"event": "tunnel_open", "scanner": ""} | {"event": "shutdown"},
    ],
)
def test_noise_is_no_event(line: dict[str, Any]) -> None:
    """What it says on every connection, and about answers, is no decision about what leaves."""
    assert events(line) == []


def test_requests_in_opened_tls_come_from_receipts() -> None:
    """Its log does not have them. A query is not told; a CONNECT that was opened is no request of its own."""
    found = events(
        receipts=(
            receipt("https://api.test:443/simple/six/?key=value"),
            receipt("api.test:443", transport="connect"),
            receipt("https://api.test:443/x", verdict="block"),
            receipt("[REDACTED]"),
        )
    )
    assert [(it.verdict, it.host, it.port, it.path) for it in found] == [("allow", "api.test", 443, "/simple/six/")]


def test_a_warning_is_told_once() -> None:
    """The log warns of a request that the receipt then vouches for: one event."""
    line = {
        "event": "anomaly",
        "method": "POST",
        "url": "https://api.test:443/in",
        "scanner": "body_dlp",
        "request_id": "req-1",
    }
    found = events(
        line, receipts=(receipt("https://api.test:443/in", request_id="req-1"), receipt("https://api.test:443/other"))
    )
    assert [(it.verdict, it.path) for it in found] == [("warn", ""), ("allow", "/other")]


def test_a_tunnel_is_told_with_its_bytes_or_at_the_end() -> None:
    """One that is still open when all ends is told then."""
    opened = {"event": "tunnel_open", "target": "git.test:443", "request_id": "req-1"}
    closed = {"event": "tunnel_close", "target": "git.test:443", "request_id": "req-1", "total_bytes": 7745}
    assert [(it.verdict, it.host, it.received) for it in events(opened, closed)] == [("allow", "git.test", 7745)]
    assert [(it.verdict, it.host, it.received) for it in events(opened)] == [("allow", "git.test", None)]


@pytest.mark.parametrize("text", [b"", b"no json", b"[]", b'{"event": 3}', b"\xff"])
def test_what_cannot_be_read_is_passed_over(text: bytes) -> None:
    """A line that was cut off loses itself and nothing else."""
    journal = Journal("reviewer")
    assert journal.parse(text) is None
    assert list(journal.of_receipt(text)) == []
