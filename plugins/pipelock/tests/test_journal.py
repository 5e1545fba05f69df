"""pipelock's two records as one: lines that were seen from the real program, and receipts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelock_site import TOKEN

from bottle_pipelock.journal import Journal
from bottle_pipelock.records import read_line
from claude_bottle.seam.event import Event

OPAQUE = 'egress.inspect: {"a.test": opaque}'


def journal() -> Journal:
    """Return one that has seen nothing."""
    return Journal("dev", "demo")


def line(journal: Journal, event: str, **fields: Any) -> Event | None:
    """Take a line as pipelock writes it."""
    text = {"level": "warn", "component": "pipelock", "event": event, "client_ip": "172.18.0.3", **fields}
    found = read_line(json.dumps({**text, "time": "2026-11-23T14:23:31Z"}).encode())
    assert found is not None
    return journal.line(found)


def receipt(target: str, request: str = "req-1", verdict: str = "allow", transport: str = "intercept") -> bytes:
    """Return one line of the recorder's file, as far as it matters."""
    record = {"verdict": verdict, "transport": transport, "method": "GET", "target": target, "request_id": request}
    entry = {"v": 1, "type": "action_receipt", "ts": "2026-11-23T14:23:30.521420524Z"}
    return json.dumps({**entry, "detail": {"version": 1, "action_record": record, "signature": "x"}}).encode() + b"\n"


def receipts(journal: Journal, *content: bytes, name: str = "evidence-proxy-0.jsonl") -> list[str]:
    """Take a file, and return the paths of what it reports."""
    return [event.path for event in journal.receipts({name: b"".join(content)})]


def test_a_refusal_says_what_would_allow_it() -> None:
    """The whole event, as `bottle logs` shows it."""
    reason = "domain not in allowlist: evil.test"
    event = line(
        journal(), "blocked", method="CONNECT", target="evil.test:443", scanner="allowlist", reason=reason, agent="demo"
    )
    assert event == Event(
        time=1795443811.0,
        verdict="deny",
        bottle="dev",
        host="evil.test",
        port=443,
        method="CONNECT",
        status=403,
        reason=reason,
        rule="allowlist",
        fix="bottle allow demo evil.test",
    )


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("startup", {"listen": "0.0.0.0:8888", "mode": "strict"}),
        ("shutdown", {"reason": "signal"}),
        ("config_reload", {"status": "success", "detail": "mode=strict", "config_hash": "7b41"}),
        ("anomaly", {"method": "CONNECT", "target": "a.test:443", "scanner": "tls_intercept", "reason": "active"}),
        ("anomaly", {"reason": "listen address is not loopback"}),
        ("error", {"method": "close", "error": "use of closed network connection"}),
        ("error", {"method": "CONFIG_RELOAD", "resource": "/etc/pipelock/pipelock.yaml", "error": "rejected"}),
        ("error", {"method": "CONNECT", "target": "a.test:443", "error": "client TLS handshake: bad record MAC"}),
        ("tunnel_close", {"target": "a.test:22", "total_bytes": 7745, "duration_ms": 698.8}),
    ],
)
def test_what_nobody_asked_for_is_no_event(event: str, fields: dict[str, str]) -> None:
    """Noise, the program's own life, and the end of what was reported when it began."""
    assert line(journal(), event, **fields) is None


@pytest.mark.parametrize("scanner", ["core_dlp", "dlp", "entropy", "body_dlp", "header_dlp"])
def test_a_path_in_which_something_was_found_is_not_shown(scanner: str) -> None:
    """Pipelock logs some of them in clear."""
    url = f"https://a.test/u/{TOKEN}?k={TOKEN}"
    event = line(journal(), "blocked", method="GET", url=url, scanner=scanner, reason="core DLP match: GitHub Token")
    assert event is not None
    assert (event.host, event.path, event.rule) == ("a.test", "", "dlp")
    assert TOKEN not in repr(event)


def test_a_credential_in_a_name_is_not_shown_or_suggested() -> None:
    """A host that is refused is chosen by whoever is inside."""
    fields = {"method": "CONNECT", "target": f"{TOKEN}.evil.test:443", "scanner": "allowlist"}
    event = line(journal(), "blocked", reason=f"domain not in allowlist: {TOKEN}.evil.test", **fields)
    assert event is not None
    assert TOKEN not in repr(event)
    assert event.fix == ""


@pytest.mark.parametrize(
    ("event", "action", "verdict", "status"),
    [("body_dlp", "block", "deny", 403), ("body_dlp", "warn", "warn", None), ("header_dlp", "block", "deny", 403)],
)
def test_a_finding_in_plain_http_has_one_line(event: str, action: str, verdict: str, status: int | None) -> None:
    """There it is a refusal as well, and the request that passes all the same is not a second event."""
    log = journal()
    fields = {"method": "POST", "url": "http://a.test/p?q", "request_id": "req-1"}
    found = line(log, event, action=action, patterns=["GitHub Token"], match_count=1, **fields)
    assert found is not None
    assert (found.verdict, found.rule, found.status, found.port) == (verdict, "dlp", status, 80)
    assert "GitHub Token" in found.reason
    if action == "warn":
        assert line(log, "forward_http", status_code=200, size_bytes=3, **fields) is None
    assert line(log, "forward_http", status_code=200, size_bytes=3, **fields) is not None


def test_a_receipt_is_an_event_once() -> None:
    """The files are read whole each time, and grow; what is not written to its end waits."""
    log, first, second = journal(), receipt("https://a.test:8443/1?q=1"), receipt("https://a.test/2")
    (event,) = log.receipts({"evidence-proxy-0.jsonl": first + second[:50]})
    assert (event.verdict, event.host, event.port, event.method, event.path) == ("allow", "a.test", 8443, "GET", "/1")
    assert event.time == pytest.approx(1795443810.521, abs=0.001)
    assert receipts(log, first, second[:50]) == []
    assert receipts(log, first, second) == ["/2"]
    assert receipts(log, receipt("https://a.test/3"), name="evidence-proxy-10000.jsonl") == ["/3"]


def test_only_what_has_no_line_is_taken_from_receipts() -> None:
    """Refusals, plain requests and tunnels are in the log; other entries are none."""
    assert (
        receipts(
            journal(),
            receipt("https://evil.test/", verdict="block", transport="connect"),
            receipt("https://a.test/", verdict="block"),
            receipt("http://a.test/", transport="forward"),
            receipt("https://a.test/", transport="connect"),
            b'{"v":1,"type":"checkpoint","ts":"2026-11-23T14:23:30Z","detail":{"entries":3}}\n',
            b"no JSON at all\n",
        )
        == []
    )


FINDINGS = [
    ("anomaly", {"scanner": "body_dlp", "reason": "request body contains secret: GitHub Token"}),
    ("anomaly", {"scanner": "sse_stream", "reason": "injection"}),
    ("response_scan", {"action": "warn", "patterns": ["Prompt Injection"]}),
]
ENDS = [
    ("error", {"error": "dial tcp: connection refused"}),
    ("blocked", {"scanner": "tls_response_blocked", "reason": "response too large for scanning"}),
]


@pytest.mark.parametrize(("event", "fields"), FINDINGS)
def test_what_the_log_told_of_a_request_is_not_told_by_its_receipt(event: str, fields: dict[str, Any]) -> None:
    """One request of a tunnel is dropped, the others of the same tunnel are not, however much was found in it."""
    log, url = journal(), "https://a.test/told?q=1"
    for _ in range(3):
        found = line(log, event, method="GET", url=url, request_id="req-1", **fields)
        assert found is not None
        assert found.verdict == "warn"
    paths = receipts(log, receipt(url), receipt("https://a.test/other"), receipt(url, "req-2"), receipt(url))
    assert paths == ["/other", "/told", "/told"]


@pytest.mark.parametrize(("event", "fields"), ENDS)
@pytest.mark.parametrize("finding", [True, False])
def test_what_came_to_nothing_takes_no_later_request_from_the_record(
    event: str, fields: dict[str, Any], *, finding: bool
) -> None:
    """Neither has a receipt that says it passed, so the one that comes is of another request."""
    log, common = journal(), {"method": "GET", "url": "https://a.test/again", "request_id": "req-1"}
    if finding:
        line(log, "anomaly", scanner="body_dlp", reason="found", **common)
    assert line(log, event, **common, **fields) is not None
    assert receipts(log, receipt("https://a.test/again")) == ["/again"]


def test_a_name_that_moves_to_a_private_address_is_a_refusal() -> None:
    """The address is judged again as it is dialled, which pipelock writes as an error."""
    error = "SSRF blocked: connection to internal IP 10.0.0.5"
    event = line(journal(), "error", method="CONNECT", target="a.test:443", error=error)
    assert event is not None
    assert (event.verdict, event.rule, event.fix) == ("deny", "address", "egress.private_addresses: [10.0.0.5/32]")


@pytest.mark.parametrize(
    ("reason", "verdict", "rule"),
    [
        ("context canceled", "allow", "upstream"),
        ("compressed sse_stream response cannot be scanned", "deny", "encoding"),
    ],
)
def test_a_stream_that_somebody_left_is_no_refusal(reason: str, verdict: str, rule: str) -> None:
    """Findings in a stream only warn, so what is called a block there is its end."""
    event = line(journal(), "blocked", method="GET", url="https://a.test/s", scanner="sse_stream", reason=reason)
    assert event is not None
    assert (event.verdict, event.rule) == (verdict, rule)


def test_what_is_remembered_is_bounded() -> None:
    """Whoever is inside chooses how many findings there are. White-box: nothing outside shows it."""
    log = journal()
    for number in range(20_500):
        url = f"https://a.test/{number}"
        line(log, "anomaly", method="GET", url=url, request_id="r", scanner="body_dlp", reason="found")
    assert len(log._told) <= 10_000  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("fields", "rule", "fix"),
    [
        ({"scanner": "blocklist", "reason": "a.test matches a.test"}, "allowlist", "bottle allow demo a.test"),
        ({"scanner": "ratelimit", "reason": "rate limit exceeded for a.test"}, "rate", ""),
        ({"scanner": "length", "reason": "URL too long"}, "size", OPAQUE),
        ({"scanner": "crlf_injection", "reason": "CRLF"}, "form", OPAQUE),
        ({"scanner": "media_policy", "reason": "media"}, "response", OPAQUE),
        ({"scanner": "something_new", "reason": "?"}, "something_new", ""),
        ({"scanner": "", "reason": "?"}, "pipelock", ""),
    ],
)
def test_each_scanner_has_a_word(fields: dict[str, str], rule: str, fix: str) -> None:
    """The words are those of every proxy; one that is not known yet is shown as it is."""
    event = line(journal(), "blocked", method="GET", url="https://a.test/p", **fields)
    assert event is not None
    assert (event.verdict, event.rule, event.fix) == ("deny", rule, fix)
    assert event.status == (429 if rule == "rate" else 403)


@given(st.binary(), st.dictionaries(st.sampled_from(["url", "target", "reason", "event", "time"]), st.text()))
def test_nothing_that_is_written_stops_the_journal(noise: bytes, fields: dict[str, str]) -> None:
    """Lines that are none, and fields of any content: whoever is inside chooses some of them."""
    log = journal()
    for text in (noise, json.dumps({"event": "blocked", **fields}).encode()):
        if found := read_line(text):
            log.line(found)
    log.receipts({"evidence-proxy-0.jsonl": noise + b"\n" + receipt(fields.get("url", ""))})
