"""Credentials in what leaves: URL, headers, bodies of every kind, WebSockets; blocked, or recorded."""

import base64
import contextlib
import functools
import gzip
import ssl
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import brotli  # pyright: ignore[reportMissingTypeStubs] - it has none
import pytest
import wsproto
import wsproto.events
import wsproto.extensions
import zstandard
from egress_harness import TOKEN, Running, read_head, read_response, read_to_end
from egress_upstream import Upstream

from bottle_mitmproxy.policy.requests import BODY_LIMIT
from bottle_mitmproxy.sidecar.body import BodyError, Cargo, decode, scan

BROTLI: Any = brotli
Extension = wsproto.extensions.Extension
SECRET = TOKEN.encode()


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize(
    "args",
    [
        ["-d", TOKEN],
        ["-d", f"a=b&token={TOKEN}"],
        ["--data-binary", f'{{"token": "{TOKEN}"}}', "-H", "Content-Type: application/json"],
        ["-F", f"file=@/dev/null;filename={TOKEN}"],
        ["-H", f"Authorization: token {TOKEN}"],
        ["-u", f"git:{TOKEN}"],
        ["-b", f"session={TOKEN}"],
        ["-G", "-d", f"q={TOKEN}"],
        ["-X", "DELETE", "-d", TOKEN],
    ],
    ids=lambda args: args[0] + args[1][:10],
)
def test_a_token_anywhere_in_a_request_is_refused(
    proxy: Running, https: Upstream, version: str, args: list[str]
) -> None:
    """S4, N12: over opened TLS, in both versions, and the upstream saw nothing of it."""
    done = proxy.curl(version, "-w", "%{http_code}", "https://api.test/", *args)
    assert done.stdout.endswith(b"403"), done
    assert b"a GitHub token" in done.stdout
    assert all(TOKEN not in str(seen) for seen in https.seen)
    event = proxy.events()[-1]
    assert (event.verdict, event.rule, event.status) == ("deny", "dlp", 403)
    assert TOKEN not in str(event)


@pytest.mark.parametrize("above", ["wild.test", "else.test"])
@pytest.mark.parametrize("start", ["CONNECT {}:443", "GET http://{}/"])
def test_a_token_in_a_name_goes_nowhere_and_on_no_record(proxy: Running, start: str, above: str) -> None:
    """S4, S6, N7: below an allowed wildcard a resolver would carry it away; what would allow it has no such name."""
    request = f"{start.format(f'{TOKEN}.{above}')} HTTP/1.1\r\nHost: {TOKEN}.{above}\r\n\r\n"
    with proxy.connection(request.encode()) as sock:
        assert b" 403 " in read_head(sock)
    [event] = proxy.events()
    assert event.rule == ("allowlist" if (start[0], above) == ("G", "else.test") else "dlp")
    assert TOKEN.lower() not in str(event).lower()


def test_a_token_over_plain_http_is_refused(proxy: Running, http: Upstream) -> None:
    """S4: posted in the clear through the proxy, it is answered 403 by the scan of the body."""
    assert proxy.status("-d", TOKEN, "http://plain.test/") == 403
    assert proxy.status(f"http://plain.test/%67hp_{TOKEN[4:]}") == 403
    assert http.seen == []


@pytest.mark.parametrize("host", ["https://warn.test/", "http://warn.test/"])
def test_warn_forwards_and_records(proxy: Running, https: Upstream, host: str) -> None:
    """S4: the upstream receives it, and one event says what was seen."""
    proxy.status("-d", TOKEN, host)
    (event,) = proxy.events()
    assert (event.verdict, event.rule) == ("warn", "dlp")
    assert "a GitHub token" in event.reason
    if host.startswith("https"):
        assert https.seen[0].body == SECRET


def test_a_placeholder_passes(proxy: Running) -> None:
    """S4: documentation may be sent."""
    assert proxy.status("-d", "ghp_" + "x" * 36, "https://api.test/") == 200


CODED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": functools.partial(gzip.compress, mtime=0),
    "x-gzip": functools.partial(gzip.compress, mtime=0),
    "deflate": zlib.compress,
    "br": BROTLI.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def raw_deflate(data: bytes) -> bytes:
    """Compress without zlib's header."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize("encoding", CODED)
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_compressed_body_is_looked_into(proxy: Running, https: Upstream, encoding: str, version: str) -> None:
    """N12: gzip, deflate, br, zstd; and what is harmless arrives as it was sent."""
    header = f"Content-Encoding: {encoding}"
    for text, status in ((b"x" * 5000 + b" " + SECRET, 403), (b"harmless", 200)):
        body = CODED[encoding](text)
        assert proxy.status(version, "-H", header, "--data-binary", "@-", "https://api.test/", stdin=body) == status
    assert [seen.body for seen in https.seen] == [CODED[encoding](b"harmless")]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("rot13", b"tuc_"),
        ("compress", b"x"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"x"))),
        ("utf-8", b"x"),
        ("gzip", b"this is not gzip"),
        ("gzip", gzip.compress(b"x" * 100)[:-9]),
        ("br", b"this is not brotli"),
        ("zstd", b"this is not zstd"),
        ("deflate", b"this is not deflate"),
    ],
)
def test_a_body_that_cannot_be_looked_into_is_refused(
    proxy: Running, https: Upstream, encoding: str, body: bytes
) -> None:
    """N12, N14: an unknown encoding and a broken body do not pass, whatever a codec of that name would make of them."""
    status = proxy.status("-H", f"Content-Encoding: {encoding}", "--data-binary", "@-", "https://api.test/", stdin=body)
    assert status == 415
    assert https.seen == []


def test_every_member_of_a_compressed_body_is_looked_into() -> None:
    """N12: a second gzip member, raw deflate, a second zstd frame."""
    compress = zstandard.ZstdCompressor().compress
    assert decode(gzip.compress(b"a") + gzip.compress(SECRET), "gzip") == b"a" + SECRET
    assert decode(raw_deflate(SECRET), "deflate") == SECRET
    assert decode(compress(b"a") + compress(SECRET), "zstd") == b"a" + SECRET


@pytest.mark.parametrize("encoding", [name for name in CODED if name != "x-gzip"])
def test_a_bomb_is_refused(encoding: str) -> None:
    """A body that grows beyond the limit when decoded is not held."""
    bomb = CODED[encoding](bytes(BODY_LIMIT + 1))
    with pytest.raises(BodyError):
        decode(bomb, encoding)


def test_a_form_is_looked_at_with_its_encoding_undone() -> None:
    """N12: in a form, spaces are plus signs and line breaks are escapes."""
    body = b"key=-----BEGIN+RSA+PRIVATE+KEY-----%0A" + b"Qm9n" * 16
    form = ((b"Content-Type", b"application/x-www-form-urlencoded; charset=utf-8"),)
    assert scan(Cargo(b"/", form, body)) == ("a private key", "body")
    assert scan(Cargo(b"/", (), body)) is None


def test_basic_credentials_are_looked_into() -> None:
    """N12: `git push` over HTTPS carries its token in base64."""
    value = b"Basic " + base64.b64encode(b"git:" + SECRET)
    assert scan(Cargo(b"/", ((b"Authorization", value),), b"")) == ("a GitHub token", "header authorization")


def test_a_chunked_body_is_put_together_before_it_is_looked_at(proxy: Running, https: Upstream) -> None:
    """N12: one byte a chunk."""
    chunks = b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in SECRET)
    with proxy.tls("api.test:443") as tls:
        tls.sendall(b"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
        assert read_head(tls).startswith(b"HTTP/1.1 403")
    assert https.seen == []


def test_trailers_do_not_pass(proxy: Running, https: Upstream) -> None:
    """N12: HTTP/1 trailers are not passed on, so nothing can hide in them."""
    with proxy.tls("api.test:443") as tls:
        tls.sendall(
            b"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
            b"1\r\na\r\n0\r\nX: " + SECRET + b"\r\n\r\n"
        )
        assert b" 200 " in read_response(tls)
    assert [it.body for it in https.seen] == [b"a"]
    assert SECRET not in https.raw


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("length", ["known", "chunked"])
def test_a_body_beyond_the_limit_is_413(proxy: Running, https: Upstream, version: str, length: str) -> None:
    """N12: with or without a length, in both versions, with a text that says what would help."""
    extra = ["-H", "Transfer-Encoding: chunked"] if length == "chunked" and version == "--http1.1" else []
    extra += ["-T", "-"] if length == "chunked" else ["--data-binary", "@-"]
    done = proxy.curl(
        version, "-X", "POST", *extra, "-w", "%{http_code}", "https://api.test/", stdin=bytes(BODY_LIMIT + 9)
    )
    assert b"413" in done.stdout, done
    assert b"opaque" in done.stdout
    assert https.seen == []
    assert proxy.events()[-1].rule == "size"
    assert proxy.status(version, "https://api.test/") == 200


class Socket:
    """A WebSocket client in a tunnel."""

    def __init__(self, tls: ssl.SSLSocket, host: str, extensions: Sequence[Extension] = ()) -> None:
        self.tls = tls
        self.ws = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        tls.sendall(self.ws.send(wsproto.events.Request(host=host, target="/ws", extensions=list(extensions))))
        assert isinstance(self.event(), wsproto.events.AcceptConnection)

    def event(self) -> wsproto.events.Event | None:
        """Return what comes next; None when the connection ends."""
        while True:
            for event in self.ws.events():
                return event
            data = read_some(self.tls)
            if not data:
                return None
            self.ws.receive_data(data)

    def send(self, event: wsproto.events.Event) -> None:
        """Send something."""
        self.tls.sendall(self.ws.send(event))


def read_some(tls: ssl.SSLSocket) -> bytes:
    """Read what is there; empty when the connection is closed or reset."""
    try:
        return tls.recv(65536)
    except ConnectionError:
        return b""


@pytest.mark.parametrize("extensions", [[], [wsproto.extensions.PerMessageDeflate()]], ids=["plain", "deflate"])
def test_a_websocket_carries_messages_and_no_token(
    proxy: Running, https1: Upstream, extensions: list[Extension]
) -> None:
    """N12: messages pass both ways; one with a token is dropped, and the connection ends."""
    with proxy.tls("one.test:443") as tls:
        client = Socket(tls, "one.test", extensions)
        client.send(wsproto.events.TextMessage("hello"))
        event = client.event()
        assert isinstance(event, wsproto.events.BytesMessage)
        assert event.data == b"hello"
        client.send(wsproto.events.TextMessage(f"token {TOKEN}"))
        assert client.event() is None
    assert https1.messages[0] == b"hello"
    assert set(https1.messages[1:]) <= {b"close "}
    assert [event.rule for event in proxy.events(2) if event.verdict == "deny"] == ["dlp"]


def test_a_message_in_fragments_is_put_together(proxy: Running, https1: Upstream) -> None:
    """N12: a token cut into frames is a token."""
    with proxy.tls("one.test:443") as tls:
        client = Socket(tls, "one.test")
        for at in range(0, len(TOKEN), 4):
            client.send(wsproto.events.TextMessage(TOKEN[at : at + 4], message_finished=at + 4 >= len(TOKEN)))
        assert client.event() is None
    assert set(https1.messages) <= {b"close "}


LARGE = b"\x00\xff" + (1 << 20).to_bytes(8, "big") + bytes(4) + bytes(1 << 20)
EMPTY = b"\x00\x80" + bytes(4)


@pytest.mark.parametrize("frames", [LARGE, EMPTY * 5_000], ids=["large", "empty"])
def test_an_endless_message_is_closed(proxy: Running, https1: Upstream, frames: bytes) -> None:
    """N12: what is held until a message ends has a limit, in large frames and in a million empty ones."""
    with proxy.tls("one.test:443") as tls:
        client = Socket(tls, "one.test")
        client.send(wsproto.events.TextMessage("", message_finished=False))
        sent = 0
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while sent < 200:
                tls.sendall(frames)
                sent += 1
    assert sent < 200
    assert set(https1.messages) <= {b"close "}


def test_control_frames_carry_no_token(proxy: Running, https1: Upstream) -> None:
    """N12: a ping with a token is not passed on, a close loses its reason."""
    with proxy.tls("one.test:443") as tls:
        client = Socket(tls, "one.test")
        client.send(wsproto.events.Ping(SECRET))
        client.send(wsproto.events.Ping(b"harmless"))
        assert isinstance(client.event(), wsproto.events.Pong)
        client.send(wsproto.events.CloseConnection(1000, reason=TOKEN))
        read_to_end(tls)
    deadline = time.monotonic() + 5
    while len(https1.messages) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert https1.messages == [b"ping harmless", b"close "]
