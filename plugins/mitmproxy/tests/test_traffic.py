"""What passes: real clients, real TLS, HTTP/1.1 and HTTP/2, streams, WebSockets; and what is said of it."""

import hashlib
import itertools
import json
import os
import time
from pathlib import Path

import pytest
from egress_harness import TOKEN, Running, read_head, read_response
from egress_upstream import TestAuthority, Upstream


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_an_allowed_host_is_reached_over_tls(proxy: Running, https: Upstream, version: str) -> None:
    """S5: CONNECT answers 200, TLS is opened with the bottle's CA, and the version goes through to the upstream."""
    done = proxy.curl(version, "-w", "%{http_connect} %{http_version}", "https://api.test/a/b?c=d")
    assert done.stdout.endswith(b"200 2" if version == "--http2" else b"200 1.1"), done
    (seen,) = https.seen
    assert (seen.method, seen.target) == ("GET", "/a/b?c=d")
    assert seen.version == ("2" if version == "--http2" else "1.1")


def test_plain_http_reaches_an_allowed_host(proxy: Running, http: Upstream) -> None:
    """Without TLS and without CONNECT, on port 80."""
    assert proxy.status("http://plain.test/x") == 200
    assert http.seen[0].target == "/x"


def test_a_client_of_http2_reaches_an_upstream_of_http1(proxy: Running, https1: Upstream) -> None:
    """Versions are translated where the two sides differ."""
    assert proxy.curl("--http2", "-w", "%{http_version}", "https://one.test/x").stdout.endswith(b"2")
    assert https1.seen[0].version == "1.1"


def test_plain_http_inside_a_tunnel_passes_the_same_way(proxy: Running, http: Upstream) -> None:
    """`curl --proxytunnel http://…` is HTTP, and scanned as such."""
    assert proxy.status("-p", "http://plain.test/x") == 200
    assert proxy.status("-p", "-d", TOKEN, "http://plain.test/x") == 403
    assert len(http.seen) == 1


def test_an_opaque_host_is_tunnelled_with_its_own_certificate(
    proxy: Running, https: Upstream, authority: TestAuthority
) -> None:
    """`opaque`: the client sees the upstream's certificate, and a token passes unseen."""
    assert proxy.status("https://opaque.test/x") == 0
    done = proxy.curl("--cacert", str(authority.bundle), "-d", TOKEN, "-w", "%{http_code}", "https://opaque.test/x")
    assert done.stdout.endswith(b"200"), done
    assert https.seen[0].body == TOKEN.encode()


def test_keep_alive_serves_many_requests(proxy: Running, https1: Upstream) -> None:
    """One connection, several requests, each decided on."""
    done = proxy.curl("-w", "%{num_connects} ", "https://one.test/1", "https://one.test/2", "https://one.test/3")
    assert [seen.target for seen in https1.seen] == ["/1", "/2", "/3"]
    assert done.returncode == 0


def test_headers_for_the_proxy_do_not_reach_the_upstream(proxy: Running, http: Upstream, https: Upstream) -> None:
    """Nothing that was meant for the proxy leaks, and the proxy does not name itself."""
    hidden = ["-H", "Proxy-Authorization: Basic x", "-H", "Proxy-Connection: keep-alive"]
    assert proxy.status(*hidden, "http://plain.test/x") == 200
    assert proxy.status("--http1.1", *hidden, "https://api.test/x") == 200
    for seen in (http.seen[0], https.seen[0]):
        assert {name for name in seen.headers if "proxy" in name or name in {"via", "forwarded"}} == set()


def test_an_upgrade_to_cleartext_http2_is_not_passed_on(proxy: Running, http: Upstream) -> None:
    """N12: after such an upgrade bytes would pass unseen."""
    upgrade = ["-H", "Upgrade: h2c", "-H", "Connection: Upgrade, HTTP2-Settings", "-H", "HTTP2-Settings: AAMAAABkAAQ"]
    assert proxy.status(*upgrade, "http://plain.test/x") == 200
    assert {"upgrade", "connection", "http2-settings"} & set(http.seen[0].headers) == set()


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_large_body_goes_up_whole(proxy: Running, https: Upstream, version: str) -> None:
    """5 MB of random data, held and looked through, arrive as they were sent."""
    data = os.urandom(5_000_000)
    done = proxy.curl(version, "--data-binary", "@-", "-H", "Expect: 100-continue", "https://api.test/up", stdin=data)
    assert json.loads(done.stdout)["length"] == len(data)
    assert hashlib.sha256(https.seen[0].body).digest() == hashlib.sha256(data).digest()


def test_a_large_response_is_streamed_and_not_held(proxy: Running, https: Upstream) -> None:
    """100 MB come down while the proxy's memory stays where it was."""
    assert proxy.curl("-o", os.devnull, "https://api.test/bytes?1").returncode == 0
    before = memory(proxy.process.pid)
    size = 100_000_000
    done = proxy.curl("--http1.1", "-o", os.devnull, "-w", "%{size_download}", f"https://api.test/bytes?{size}")
    assert done.stdout == str(size).encode()
    assert memory(proxy.process.pid) - before < 30_000_000
    assert proxy.events(2)[-1].received == size


def memory(pid: int) -> int:
    """Return the largest resident size of a process so far, in bytes."""
    with Path(f"/proc/{pid}/status").open() as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


def test_server_sent_events_arrive_as_they_are_sent(proxy: Running) -> None:
    """N12: a response is never held until it ends."""
    with proxy.tls("one.test:443") as tls:
        tls.sendall(b"GET /events HTTP/1.1\r\nHost: one.test\r\n\r\n")
        read_head(tls)
        times: list[float] = []
        while len(times) < 5:
            if b"data:" in tls.recv(4096):
                times.append(time.monotonic())
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(0.03 < gap < 0.3 for gap in gaps), gaps


def test_each_request_is_one_event(proxy: Running) -> None:
    """Method, path without values, status, bytes of both directions; one event however it went."""
    proxy.status("-d", "12345", "https://api.test/p?q=secret")
    proxy.status("https://other.test/")
    proxy.status("https://localhost:8443/")
    allowed, refused, unreachable = proxy.events(3)
    assert (allowed.verdict, allowed.host, allowed.port) == ("allow", "api.test", 443)
    assert (allowed.method, allowed.path, allowed.status, allowed.sent) == ("POST", "/p?q=…", 200, 5)
    assert allowed.received is not None
    assert allowed.received > 100
    assert (refused.verdict, refused.host, refused.rule, refused.status) == ("deny", "other.test", "allowlist", 403)
    assert refused.fix == "bottle allow reviewer other.test"
    assert (unreachable.verdict, unreachable.rule, unreachable.status) == ("allow", "upstream", 502)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://wrong.test/", b"certificate is not trusted"),
        ("https://localhost:8443/", b"refuses the connection"),
        ("http://nowhere.wild.test/", b"does not resolve"),
    ],
)
def test_an_upstream_that_cannot_be_reached_is_a_502_in_plain_words(proxy: Running, url: str, words: bytes) -> None:
    """DNS, refused connections, certificates: the text says which, and is no stack trace."""
    done = proxy.curl("-w", "%{http_code}", url)
    assert done.stdout.endswith(b"502")
    assert words in done.stdout


def test_a_certificate_of_another_name_is_not_trusted(proxy: Running, https: Upstream) -> None:
    """The name that was asked for is verified, whatever the address."""
    assert proxy.status("https://wrong.test/") == 502
    assert https.seen == []


def test_a_refusal_explains_itself_in_body_and_headers(proxy: Running) -> None:
    """Wish 14: clients that hide the body of a CONNECT show headers."""
    with proxy.connection(b"CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n") as sock:
        answer = read_response(sock)
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"X-Bottle-Rule: allowlist\r\n" in answer
    assert b"X-Bottle-Reason: host other.test is not in this bottle's egress allowlist\r\n" in answer
    assert b"X-Bottle-Fix: bottle allow reviewer other.test\r\n" in answer
    assert b"to allow it: bottle allow reviewer other.test\n" in answer
    assert b'egress.allowlist: ["other.test"]' in answer


def test_a_client_that_does_not_trust_the_authority_is_reported(proxy: Running) -> None:
    """A pinned certificate shows in the log, with the level that would help."""
    proxy.curl("--cacert", "/etc/ssl/certs/ca-certificates.crt", "https://api.test/")
    (event,) = proxy.events()
    assert event.rule == "tls"
    assert "opaque" in event.fix
