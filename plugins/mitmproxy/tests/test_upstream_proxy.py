"""The host's own upstream proxy: everything goes through it, and nothing that is private here goes at all."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from egress_harness import TOKEN, Launch, Running, rule
from egress_upstream import TestAuthority, ThreadServer, Upstream

from bottle_mitmproxy.upstream import UpstreamError, parse_proxy
from claude_bottle.plan.spec import Upstream as UpstreamPlan


class ForwardProxy(ThreadServer):
    """A forward proxy that knows some names; `heads` are the first lines and headers that it saw."""

    def __init__(self, places: dict[str, int]) -> None:
        super().__init__()
        self.places = places
        self.heads: list[str] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Tunnel for CONNECT, answer everything else itself."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            writer.close()
            return
        self.heads.append(head)
        method, target, _ = head.split(" ", 2)
        port = self.places.get(target.partition(":")[0])
        if method != "CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            writer.close()
        elif port is None:
            writer.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
            writer.close()
        else:
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            there, back = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(self.copy(reader, back), self.copy(there, writer))

    @staticmethod
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Copy until the end."""
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@pytest.fixture(scope="module")
def forward(https: Upstream) -> Iterator[ForwardProxy]:
    """Return the host's upstream proxy."""
    server = ForwardProxy({"api.test": https.port, "opaque.test": https.port}).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def chained_proxy(launch: Launch, forward: ForwardProxy, authority: TestAuthority) -> Running:
    """Return a proxy behind it, that may dial no private address of its own."""
    rules = [
        rule("api.test"),
        rule("plain.test"),
        rule("opaque.test", "opaque"),
        rule("localhost"),
        rule("1.1.1.1"),
        rule("gone.test"),
    ]
    upstream = UpstreamPlan(ca=(str(authority.bundle),), proxy=f"http://127.0.0.1:{forward.port}")
    return launch(rules=rules, private=(), upstream=upstream)


@pytest.fixture
def chained(chained_proxy: Running, forward: ForwardProxy, https: Upstream) -> Running:
    """Return it, with what was seen before forgotten."""
    time.sleep(0.05)  # what the test before left comes in
    chained_proxy.events(0)
    forward.heads.clear()
    https.seen.clear()
    return chained_proxy


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_opened_tls_goes_through_it(chained: Running, forward: ForwardProxy, https: Upstream, version: str) -> None:
    """It sees CONNECT with the name, and the upstream's certificate is verified behind it."""
    assert chained.status(version, "https://api.test/x") == 200
    assert forward.heads[0].startswith("CONNECT api.test:443 HTTP/1.1\r\n")
    assert len(https.seen) == 1
    assert chained.status(version, "-d", TOKEN, "https://api.test/x") == 403
    assert len(https.seen) == 1


def test_a_tunnel_that_is_not_opened_goes_through_it(chained: Running, forward: ForwardProxy) -> None:
    """Opaque, too."""
    assert chained.status("-k", "https://opaque.test/x") == 200
    assert forward.heads[0].startswith("CONNECT opaque.test:443 HTTP/1.1\r\n")


def test_plain_http_goes_to_it_in_absolute_form(chained: Running, forward: ForwardProxy) -> None:
    """Many a proxy allows CONNECT to 443 alone."""
    assert chained.curl("http://plain.test/x?y").stdout == b"ok"
    assert forward.heads[0].startswith("GET http://plain.test:80/x?y HTTP/1.1\r\n")
    assert "\r\nhost: plain.test\r\n" in forward.heads[0].lower()


@pytest.mark.parametrize("url", ["https://localhost/", "http://localhost/", "https://1.1.1.1/", "http://1.1.1.1/"])
def test_private_names_and_literals_are_refused(chained: Running, forward: ForwardProxy, url: str) -> None:
    """N10: what resolves to a private address here, and every literal; the upstream proxy is not even asked."""
    assert chained.status(url) == 403
    assert forward.heads == []
    assert chained.events()[-1].rule == "address"


def test_its_own_refusal_is_a_502_that_says_so(chained: Running) -> None:
    """A host that the upstream proxy does not let through."""
    done = chained.curl("-w", "%{http_code}", "https://gone.test/")
    assert done.stdout.endswith(b"502")
    assert b"refused HTTP CONNECT request: 503" in done.stdout


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://proxy.corp:3128", "proxy.corp:3128"),
        ("http://proxy.corp", "proxy.corp:80"),
        ("proxy.corp:3128/", "proxy.corp:3128"),
        ("http://[2001:db8::1]:8080", "[2001:db8::1]:8080"),
    ],
)
def test_its_url_gives_host_and_port(url: str, place: str) -> None:
    """As `HTTPS_PROXY` is written in the wild."""
    assert parse_proxy(url) == place


@pytest.mark.parametrize(
    "url", ["https://p:1", "socks5://p:1", "http://u:secret@p:1", "http://u@p", "http://:1", "http://p:x"]
)
def test_a_url_that_cannot_be_chained_is_an_error_without_its_password(url: str) -> None:
    """S15: a password would lie in the proxy's file; it is not in the message either."""
    with pytest.raises(UpstreamError) as raised:
        parse_proxy(url)
    assert "secret" not in str(raised.value)
