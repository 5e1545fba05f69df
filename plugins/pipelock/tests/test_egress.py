"""What passes through the real pipelock and what does not, and what is reported of it."""

import http.client
from collections.abc import Callable
from typing import Any

import pytest
from pipelock_site import TOKEN, Running
from pipelock_upstream import Upstream

from claude_bottle.seam.event import Event

pytestmark = pytest.mark.pipelock


def only(events: list[Event]) -> Event:
    """Return the one event that there is."""
    (event,) = events
    return event


def test_an_allowed_host_is_opened_and_recorded(proxy: Running, tls: Upstream) -> None:
    """A request in an opened tunnel arrives, and is one event: with its path, without its query."""
    answer = proxy.client.https("api.test", tls.port, "/some/path?token=abc")
    assert (answer.at, answer.status) == ("request", 200)
    assert [seen.target for seen in tls.seen] == ["/some/path?token=abc"]
    event = only(proxy.await_events())
    assert (event.verdict, event.host, event.port, event.method, event.path, event.bottle) == (
        "allow", "api.test", tls.port, "GET", "/some/path", "dev",
    )  # fmt: skip


@pytest.mark.parametrize(("port", "entry"), [(443, "evil.test"), (8443, "evil.test:8443")])
def test_a_host_that_is_not_allowed_is_refused_at_connect(proxy: Running, port: int, entry: str) -> None:
    """403 that names the host, one event, and the command that would allow it."""
    answer, connection = proxy.client.connect("evil.test", port)
    connection.close()
    assert (answer.at, answer.status) == ("connect", 403)
    assert "evil.test" in answer.body
    event = only(proxy.await_events())
    assert (event.verdict, event.rule, event.host, event.port) == ("deny", "allowlist", "evil.test", port)
    assert event.fix == f"bottle allow demo {entry}"


def test_a_plain_request_to_a_host_that_is_not_allowed_is_refused(proxy: Running, plain: Upstream) -> None:
    """The same over plain HTTP, with the control that the upstream answers under an allowed name."""
    assert proxy.client.http("evil.test", plain.port, "/p?q=1").status == 403
    assert proxy.client.http("plain.test", plain.port, "/p?q=1").status == 200
    refused, passed = proxy.await_events(2)
    assert (refused.verdict, refused.rule, refused.path, refused.status) == ("deny", "allowlist", "/p", 403)
    assert (passed.verdict, passed.host, passed.status, passed.path) == ("allow", "plain.test", 200, "/p")
    assert passed.received == 18


@pytest.mark.parametrize(("host", "status"), [("deep.wild.test", 200), ("wild.test", 403), ("wild.test.", 403)])
def test_a_wildcard_does_not_open_its_apex(proxy: Running, tls: Upstream, host: str, status: int) -> None:
    """`*.x` holds below x alone, with or without the final dot."""
    answer, connection = proxy.client.connect(host, tls.port)
    connection.close()
    assert answer.status == status


def test_an_opaque_host_is_tunnelled_unopened(proxy: Running, tls: Upstream) -> None:
    """The client sees the upstream's own certificate, and the tunnel is one event."""
    with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
        proxy.client.https("opaque.test", tls.port)
    event = only(proxy.await_events())
    assert (event.verdict, event.host, event.port, event.method) == ("allow", "opaque.test", tls.port, "CONNECT")


@pytest.mark.parametrize(
    ("target", "more"),
    [
        ("/post", {"method": "POST", "body": TOKEN.encode()}),
        ("/h", {"headers": {"Authorization": f"Bearer {TOKEN}"}}),
        ("/h", {"headers": {"X-Anything": TOKEN}}),
        (f"/u/{TOKEN}", {}),
        (f"/u?k={TOKEN}", {}),
    ],
    ids=["body", "authorization", "header", "path", "query"],
)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_credential_is_refused_under_block(
    proxy: Running, tls: Upstream, plain: Upstream, scheme: str, target: str, more: dict[str, Any]
) -> None:
    """In body, header and URL, opened or plain: 403 from the proxy, nothing arrives, and no event holds it."""
    if scheme == "https":
        answer = proxy.client.https("api.test", tls.port, target, **more)
    else:
        answer = proxy.client.http("plain.test", plain.port, target, **more)
    assert (answer.status, tls.seen, plain.seen) == (403, [], [])
    event = only(proxy.await_events())
    assert (event.verdict, event.rule, event.status, event.path) == ("deny", "dlp", 403, "")
    assert event.fix == ('egress.inspect: {"api.test": opaque}' if scheme == "https" else "")
    assert TOKEN not in repr(event)


def test_plain_http_of_a_host_that_is_not_opened_is_scanned(proxy: Running, plain: Upstream) -> None:
    """S4: the model's host is one of those; a credential without TLS is a 403 there too, and what is clean arrives."""
    answer = proxy.client.http("opaque.test", plain.port, "/post", method="POST", body=TOKEN.encode())
    assert (answer.status, plain.seen) == (403, [])
    assert proxy.client.http("opaque.test", plain.port, "/post", method="POST", body=b"clean").status == 200
    refused, passed = proxy.await_events(2)
    assert (refused.verdict, refused.rule, refused.host) == ("deny", "dlp", "opaque.test")
    assert (passed.verdict, passed.host) == ("allow", "opaque.test")


@pytest.mark.parametrize(
    "more",
    [{"method": "POST", "body": TOKEN.encode()}, {"headers": {"Authorization": f"Bearer {TOKEN}"}}],
    ids=["body", "header"],
)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_credential_passes_under_warn_and_is_recorded_once(
    warning: Running, tls: Upstream, plain: Upstream, scheme: str, more: dict[str, Any]
) -> None:
    """The request arrives; its event says what was found, and no second one says that it passed."""
    if scheme == "https":
        answer = warning.client.https("api.test", tls.port, "/w", **more)
    else:
        answer = warning.client.http("plain.test", plain.port, "/w", **more)
    assert (answer.status, len(tls.seen) + len(plain.seen)) == (200, 1)
    warning.client.http("evil.test", 80)
    assert warning.client.https("api.test", tls.port, "/after").status == 200
    events = warning.await_events(3)
    assert [(it.verdict, it.rule, it.path) for it in events] == [
        ("warn", "dlp", ""),
        ("deny", "allowlist", "/"),
        ("allow", "", "/after"),
    ]


def test_a_name_at_a_private_address_is_refused(proxy: Running) -> None:
    """403, and the event says which line of the manifest would allow the address."""
    answer, connection = proxy.client.connect("private.test", 443)
    connection.close()
    assert answer.status == 403
    event = only(proxy.await_events())
    assert (event.verdict, event.rule) == ("deny", "address")
    assert event.fix == "egress.private_addresses: [10.1.2.3/32]"


@pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1", "[::1]", "2130706433", "0x7f.1"])
def test_an_address_is_no_way_around_names(proxy: Running, tls: Upstream, address: str) -> None:
    """An address that is not itself allowed is refused, however it is written."""
    answer, connection = proxy.client.connect(address, tls.port)
    connection.close()
    assert answer.status == 403


def test_what_cannot_be_reached_is_no_refusal(proxy: Running) -> None:
    """A name that nobody knows and a port where nobody listens are reported as the upstream's fault."""
    answers: list[int] = []
    for host, port in (("nowhere.test", 443), ("api.test", 9)):
        answer, connection = proxy.client.connect(host, port)
        connection.close()
        answers.append(answer.status)
    assert answers == [403, 502]
    assert [(it.verdict, it.rule, it.host) for it in proxy.await_events(2)] == [
        ("allow", "upstream", "nowhere.test"),
        ("allow", "upstream", "api.test"),
    ]


def test_an_upstream_that_hangs_up_is_no_refusal(proxy: Running, tls: Upstream) -> None:
    """It is one event, the upstream's fault."""
    assert proxy.client.https("api.test", tls.port, "/drop").status == 502
    assert proxy.client.https("api.test", tls.port, "/after").status == 200
    dropped, after = proxy.await_events(2)
    assert (dropped.verdict, dropped.rule, dropped.status, dropped.path) == ("allow", "upstream", 502, "/drop")
    assert (after.verdict, after.rule, after.path) == ("allow", "", "/after")


def test_a_stream_that_is_left_is_no_refusal(warning: Running, tls: Upstream) -> None:
    """Whoever interrupts a model is not told that something was denied.

    A scan that is under way then counts as a finding for pipelock, so a warning may stand beside it.
    """
    tls.go.clear()
    _, connection = warning.client.connect("api.test", tls.port)
    with connection, warning.client.tls(connection, "api.test") as opened:
        opened.sendall(b"GET /events HTTP/1.1\r\nHost: api.test:%d\r\n\r\n" % tls.port)
        assert opened.recv(1000)
    tls.go.set()
    events = warning.await_events() + warning.await_events(timeout=0.5)
    assert [(it.verdict, it.path) for it in events if it.verdict != "warn"] == [("allow", "/events")]


def test_the_fetch_endpoint_is_no_way_around(proxy: Running, plain: Upstream) -> None:
    """Pipelock's own service cannot be switched off; it obeys the same rules and is recorded."""
    assert proxy.client.own("/fetch?url=https://evil.test/").status == 403
    assert proxy.client.own(f"/fetch?url=http://plain.test:{plain.port}/f").status == 200
    refused, passed = proxy.await_events(2)
    assert (refused.verdict, refused.host, refused.rule) == ("deny", "evil.test", "allowlist")
    assert (passed.verdict, passed.host, passed.path) == ("allow", "plain.test", "/f")


def test_fronting_is_refused(proxy: Running, tls: Upstream) -> None:
    """A Host header, and the name of a TLS handshake, that are not the connection's."""
    answer = proxy.client.https("api.test", tls.port, headers={"Host": "other.test"})
    assert (answer.status, tls.seen) == (403, [])
    with pytest.raises(OSError, match=r"EOF|reset|SSL"):
        proxy.client.https("opaque.test", tls.port, sni="api.test")
    host, sni = proxy.await_events(2)
    assert (host.verdict, host.rule, host.host, host.port) == ("deny", "mismatch", "api.test", tls.port)
    assert (sni.verdict, sni.rule, sni.host) == ("deny", "mismatch", "opaque.test")


def test_a_client_that_does_not_trust_the_authority_is_one_event(proxy: Running, tls: Upstream) -> None:
    """A failed handshake is reported once, and says what it may mean."""
    proxy.client.ca, ca = (proxy.site.folder / "upstream-bundle.pem").read_text(), proxy.client.ca
    try:
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            proxy.client.https("api.test", tls.port)
    finally:
        proxy.client.ca = ca
    assert proxy.client.https("api.test", tls.port).status == 200
    refused, passed = proxy.await_events(2)
    assert (refused.verdict, refused.rule, passed.verdict, passed.rule) == ("deny", "tls", "allow", "")
    assert "trust" in refused.reason


@pytest.mark.parametrize(
    ("target", "more", "rule"),
    [
        ("/x", {"method": "POST", "body": b"x", "headers": {"Content-Encoding": "gzip"}}, "encoding"),
        ("/x", {"method": "POST", "body": b"{}{}", "headers": {"Content-Type": "application/json"}}, "form"),
        ("/x", {"method": "POST", "body": bytes((16 << 20) + 1)}, "size"),
        ("/gzip", {}, "encoding"),
        (f"/bytes?{(16 << 20) + 1}", {}, "size"),
    ],
    ids=["encoded", "not-json", "large", "encoded-answer", "large-answer"],
)
def test_what_cannot_be_scanned_is_refused_under_warn_too(
    warning: Running, tls: Upstream, target: str, more: dict[str, Any], rule: str
) -> None:
    """It is one event with a word of its own, and what would let it pass is not to open the host."""
    answer = warning.client.https("api.test", tls.port, target, **more)
    assert answer.status == 403
    event = warning.await_events(1)[-1]
    assert (event.verdict, event.rule) == ("deny", rule)
    assert event.fix == 'egress.inspect: {"api.test": opaque}'


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_an_answer_that_looks_like_an_instruction_passes_and_is_recorded(
    warning: Running, tls: Upstream, plain: Upstream, scheme: str
) -> None:
    """Answers are scanned and never held back."""
    client = warning.client
    ask, port = (client.https, tls.port) if scheme == "https" else (client.http, plain.port)
    answer = ask("api.test" if scheme == "https" else "plain.test", port, "/injection")
    assert answer.status == 200
    events = warning.await_events(1)
    assert [(it.verdict, it.rule) for it in events if it.verdict == "warn"] == [("warn", "response")]


def test_an_event_stream_is_passed_on_as_it_comes(warning: Running, tls: Upstream) -> None:
    """A model's answer is not held back: the second event is sent only after the first has arrived."""
    tls.go.clear()
    _, connection = warning.client.connect("api.test", tls.port)
    with connection, warning.client.tls(connection, "api.test") as opened:
        asking = http.client.HTTPConnection("api.test", tls.port)
        asking.sock = opened
        asking.request("GET", "/events")
        answer = asking.getresponse()
        assert answer.readline() + answer.readline() == b"data: first\n\n"
        tls.go.set()
        assert answer.read() == b"data: second\n\n"


def test_no_management_endpoint_is_within_reach(proxy: Running) -> None:
    """Neither metrics nor statistics are served at the port that the agent reaches."""
    for path in ("/metrics", "/stats", "/api/v1/killswitch"):
        assert proxy.client.own(path).status in {404, 405}
    assert proxy.client.own("/health").status == 200


def test_what_passed_last_is_recorded_when_it_stops(start: Callable[[], Running], tls: Upstream) -> None:
    """The receipts are read once more before the end: a request just before it is not lost."""
    running = start()
    assert running.client.https("api.test", tls.port, "/last").status == 200
    assert [(it.verdict, it.path) for it in running.stop()] == [("allow", "/last")]
    running.proxy.stop()
