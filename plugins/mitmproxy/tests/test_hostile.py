"""What must not pass: each way around the allowlist that other proxies had, tried on a real socket."""

import contextlib
import re
import socket
import ssl
import time
from typing import Any

import h2.config  # pyright: ignore[reportMissingTypeStubs] - it has none
import h2.connection  # pyright: ignore[reportMissingTypeStubs] - as above
import h2.events  # pyright: ignore[reportMissingTypeStubs] - as above
import pytest
from egress_harness import Running, read_head, read_response, read_to_end
from egress_upstream import TestAuthority, Upstream


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("other.test:443", 403),
        ("api.test:22", 403),
        ("api.test:53", 403),
        ("wild.test:443", 403),
        ("evilwild.test:443", 403),
        ("api.test.evil.test:443", 403),
        ("127.0.0.1:443", 403),
        ("[::1]:443", 403),
        ("2130706433:443", 400),
        ("0x7f000001:443", 400),
        ("api.test", 400),
        ("api.test\0.evil.test:443", 400),
        ("user@api.test:443", 400),
        ("api.test%2eevil.test:443", 400),
        ("API.TEST.:443", 200),
        ("deep.deeper.wild.test:443", 200),
    ],
)
def test_connect_is_decided_by_its_target(proxy: Running, target: str, status: int) -> None:
    """S5, N4, N5: every spelling of a host is one host, and no other one."""
    with proxy.connection(f"CONNECT {target} HTTP/1.1\r\nHost: api.test:443\r\n\r\n".encode()) as sock:
        assert read_head(sock).startswith(f"HTTP/1.1 {status}".encode())


def test_the_host_header_of_connect_plays_no_part(proxy: Running) -> None:
    """N6: neither does it open a host, nor close one."""
    with proxy.connection(b"CONNECT other.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n") as sock:
        assert read_head(sock).startswith(b"HTTP/1.1 403")
    with proxy.connection(b"CONNECT api.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n") as sock:
        assert read_head(sock).startswith(b"HTTP/1.1 200")


def test_nothing_is_dialled_before_a_request_is_decided_on(proxy: Running, http: Upstream) -> None:
    """N6: CONNECT and a whole TLS handshake leave the upstream alone."""
    before = http.connections
    with proxy.tls("plain.test:443"):
        time.sleep(0.2)
    assert http.connections == before


@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n", b"\0\1\2\3", b"\x05\x01\x00", b"lower / HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize("inside", [False, True], ids=["after CONNECT", "inside TLS"])
def test_raw_bytes_reach_nobody(proxy: Running, http: Upstream, data: bytes, inside: bool) -> None:
    """N3: bytes that are neither TLS nor HTTP end the tunnel, and no upstream saw the first of them."""
    before = http.connections
    with (proxy.tls if inside else proxy.tunnel)("plain.test:443") as sock:
        sock.sendall(data)
        assert read_to_end(sock) == b""
    assert http.connections == before
    event = proxy.events()[-1]
    assert (event.verdict, event.rule) == ("deny", "protocol")


@pytest.mark.parametrize("inside", [False, True], ids=["after CONNECT", "inside TLS"])
def test_what_only_begins_like_http_reaches_nobody(proxy: Running, http: Upstream, inside: bool) -> None:
    """N3: a mail client's greeting is answered as the broken request that it is."""
    before = http.connections
    with (proxy.tls if inside else proxy.tunnel)("plain.test:443") as sock:
        sock.sendall(b"EHLO x\r\n\r\n")
        assert read_to_end(sock).startswith(b"HTTP/1.1 400")
    assert http.connections == before


@pytest.mark.parametrize("first", [b"\x05\x01\x00", b"\x16\x03\x01\x00\x05hello", b"\0" * 100, b"a" * 100])
def test_what_is_no_http_on_the_proxys_own_port_is_closed(proxy: Running, first: bytes) -> None:
    """N3, N4: SOCKS5, TLS and noise get no answer, at once."""
    begin = time.monotonic()
    with proxy.connection(first) as sock:
        assert read_to_end(sock) == b""
    assert time.monotonic() - begin < 2


def test_an_endless_head_is_closed(proxy: Running) -> None:
    """A head has a limit: memory is not the agent's to take."""
    with proxy.connection(b"GET http://plain.test/ HTTP/1.1\r\nX: ") as sock:
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 100 << 20:
                sent += sock.send(b"x" * 65536)
    assert sent < 20 << 20  # what buffers on the way hold, and then nobody reads


def test_raw_bytes_pass_where_a_rule_allows_them(proxy: Running, http: Upstream) -> None:
    """SSH goes through CONNECT like everything else; other ports of the same host stay closed to it."""
    with proxy.tunnel("raw.test:22") as sock:
        sock.sendall(b"SSH-2.0-x\r\n")
        time.sleep(0.3)
    assert http.raw == b"SSH-2.0-x\r\n"
    assert [(event.verdict, event.reason, event.port) for event in proxy.events()] == [("allow", "raw", 22)]
    with proxy.tunnel("raw.test:443") as sock:
        sock.sendall(b"SSH-2.0-x\r\n")
        assert read_to_end(sock) == b""


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api.test:80\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api.test\r\nHost: other.test\r\n\r\n",
        b"GET https://other.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"GET https://api.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"CONNECT other.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"GET http://other.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : api.test\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_request_in_a_tunnel_cannot_name_another_host(proxy: Running, https: Upstream, head: bytes) -> None:
    """N6: Host, absolute form, CONNECT in a tunnel, and what two parsers could split differently."""
    with proxy.tls("api.test:443") as tls:
        tls.sendall(head)
        answer = read_response(tls)
    assert answer[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 421", b"HTTP/1.1 415"}, answer
    assert https.seen == []
    assert proxy.events()[-1].verdict == "deny"


def test_another_sni_is_misdirected(proxy: Running, https: Upstream) -> None:
    """N6: an allowed CONNECT does not open another TLS name; the answer is a text, not a broken handshake."""
    with proxy.tls("api.test:443", sni="warn.test") as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
        answer = read_response(tls)
    assert answer.startswith(b"HTTP/1.1 421")
    assert b"the SNI names warn.test" in answer
    assert https.seen == []


def test_the_upstream_is_asked_for_the_name_of_the_rule(proxy: Running, https: Upstream) -> None:
    """N6: one spelling goes out, however the client writes the name."""
    https.names.clear()
    with proxy.tls("API.TEST.:443", sni="Api.Test") as tls:
        tls.sendall(b"GET /x HTTP/1.1\r\nHost: aPi.test\r\n\r\n")
        assert read_head(tls).startswith(b"HTTP/1.1 200")
    assert https.names == ["api.test"]


def test_no_sni_dials_the_name_of_the_tunnel(proxy: Running, https: Upstream) -> None:
    """N6: the upstream's certificate is verified for the CONNECT host, whatever the client sends."""
    with proxy.tls("api.test:443", sni="") as tls:
        tls.sendall(b"GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n")
        assert read_head(tls).startswith(b"HTTP/1.1 200")
    assert https.seen[0].target == "/x"


@pytest.mark.parametrize("sni", ["api.test", ""])
def test_an_opaque_tunnel_carries_its_own_name_alone(
    proxy: Running, https: Upstream, authority: TestAuthority, sni: str
) -> None:
    """N6: a tunnel that is not opened is still read up to its SNI."""
    before = https.connections
    context = ssl.create_default_context(cafile=str(authority.bundle))
    context.check_hostname = False
    with proxy.tunnel("opaque.test:443") as sock, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(sock, server_hostname=sni or None)
    assert https.connections == before
    assert proxy.events()[-1].rule == "mismatch"


def test_a_handshake_in_pieces_is_read_whole(proxy: Running, https: Upstream, authority: TestAuthority) -> None:
    """N6: one byte at a time, an opaque tunnel still waits for the name."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=str(authority.bundle))
    client = context.wrap_bio(incoming, outgoing, server_hostname="opaque.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with proxy.tunnel("opaque.test:443") as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in outgoing.read():
            sock.sendall(bytes([byte]))
        assert sock.recv(1) == b"\x16"


@pytest.mark.parametrize(
    "change",
    [
        {":authority": "other.test"},
        {":authority": "api.test:80"},
        {":scheme": "http", ":authority": "other.test"},
        {"host": "other.test"},
        {":method": "CONNECT"},
    ],
)
def test_http2_cannot_name_another_host(proxy: Running, https: Upstream, change: dict[str, str]) -> None:
    """N6: `:authority` and Host both, and no CONNECT."""
    headers = {":method": "GET", ":scheme": "https", ":authority": "api.test", ":path": "/"} | change
    assert http2_status(proxy, headers) in {"400", "421", None}
    assert https.seen == []


def test_http2_with_its_own_name_passes(proxy: Running, https: Upstream) -> None:
    """The control of the test above."""
    headers = {":method": "GET", ":scheme": "https", ":authority": "api.test", ":path": "/"}
    assert http2_status(proxy, headers) == "200"
    assert len(https.seen) == 1


def http2_status(proxy: Running, headers: dict[str, str]) -> str | None:
    """Send one request over HTTP/2 without a library's own checks; None if the stream was reset."""
    config = h2.config.H2Configuration(
        header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
    )
    connection: Any = h2.connection.H2Connection(config)
    connection.initiate_connection()
    connection.send_headers(1, list(headers.items()), end_stream=True)
    with proxy.tls("api.test:443", alpn=["h2"]) as tls:
        assert tls.selected_alpn_protocol() == "h2"
        tls.sendall(connection.data_to_send())
        while data := tls.recv(65536):
            arrived: list[Any] = connection.receive_data(data)
            for event in arrived:
                kind = event.__class__
                if kind is h2.events.ResponseReceived:
                    return dict(event.headers)[":status"]
                if kind in {h2.events.StreamReset, h2.events.ConnectionTerminated}:
                    return None
    return None


def test_pipelined_requests_are_decided_on_one_by_one(proxy: Running, https: Upstream) -> None:
    """N13: what hides behind an allowed request is looked at too."""
    with proxy.tls("api.test:443") as tls:
        tls.sendall(
            b"GET /1 HTTP/1.1\r\nHost: api.test\r\n\r\n"
            b"GET /2 HTTP/1.1\r\nHost: other.test\r\n\r\n"
            b"GET /3 HTTP/1.1\r\nHost: api.test\r\n\r\n"
        )
        answers = b"".join(read_response(tls) for _ in range(3))
    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"200", b"421", b"200"]
    assert [seen.target for seen in https.seen] == ["/1", "/3"]


def test_a_kept_connection_for_one_host_is_not_used_for_another(proxy: Running, http: Upstream) -> None:
    """N13: plain requests name their host each time, and each is decided on."""
    with proxy.connection(
        b"GET http://plain.test/1 HTTP/1.1\r\nHost: plain.test\r\n\r\n"
        b"GET http://other.test/2 HTTP/1.1\r\nHost: other.test\r\n\r\n"
    ) as sock:
        answers = read_response(sock) + read_response(sock)
    assert b"HTTP/1.1 200" in answers
    assert b"HTTP/1.1 403" in answers
    assert [seen.target for seen in http.seen] == ["/1"]


@pytest.mark.parametrize(
    "head",
    [
        b"GET https://api.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"GET http://plain.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n",
        b"GET http://plain.test@other.test/ HTTP/1.1\r\nHost: plain.test\r\n\r\n",
        b"GET http://plain.test:22/ HTTP/1.1\r\nHost: plain.test:22\r\n\r\n",
        b"GET ftp://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_plain_request_that_does_not_fit_is_refused(proxy: Running, http: Upstream, head: bytes) -> None:
    """N4, N6: scheme, user information, ports, Host."""
    with proxy.connection(head) as sock:
        assert read_response(sock)[:11] in {b"HTTP/1.1 40", b"HTTP/1.1 42"}
    assert http.seen == []


def test_an_upstream_cannot_switch_to_a_protocol_of_its_own(proxy: Running, http: Upstream) -> None:
    """N12: a 101 that is no WebSocket ends the connection, so bytes cannot flow unseen after it."""
    with proxy.connection(b"GET http://plain.test/switch HTTP/1.1\r\nHost: plain.test\r\n\r\n") as sock:
        read_head(sock)
        with contextlib.suppress(OSError):
            sock.sendall(b"unseen")
        assert read_to_end(sock) == b""
    assert http.messages == []


def test_a_websocket_upgrade_that_is_none_is_closed(proxy: Running, https1: Upstream) -> None:
    """N12: only an upgrade to WebSocket is passed on, so bytes cannot flow unseen after a 101."""
    with proxy.tls("one.test:443") as tls:
        tls.sendall(b"GET /x HTTP/1.1\r\nHost: one.test\r\nUpgrade: secret-protocol\r\nConnection: Upgrade\r\n\r\n")
        assert read_head(tls).startswith(b"HTTP/1.1 200")
    assert "upgrade" not in https1.seen[0].headers
