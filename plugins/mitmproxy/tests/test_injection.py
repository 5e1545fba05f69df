"""A credential that the agent never holds: put in at its place, refused elsewhere, taken out of what comes back."""

import base64
import gzip
import json
import secrets
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import brotli  # pyright: ignore[reportMissingTypeStubs] - it has none
import h2.config  # pyright: ignore[reportMissingTypeStubs] - as above
import h2.connection  # pyright: ignore[reportMissingTypeStubs] - as above
import h2.events  # pyright: ignore[reportMissingTypeStubs] - as above
import pytest
import wsproto
import wsproto.events
import zstandard
from egress_harness import RULES, Running, make_plan, read_head, rule
from egress_upstream import Upstream

from claude_bottle.plan.spec import Upstream as UpstreamPlan
from claude_bottle.seam.event import Event
from claude_bottle.seam.part import Injection

REAL = "sk-ant-oat01-" + secrets.token_hex(20) + "_-+/???" + secrets.token_hex(3)
HOST_LIKE = secrets.token_hex(20)
KEY = Injection(name="KEY", host="api.test", header="x-key")
TO_API = Injection(name="TOKEN", host="api.test", header="authorization", format="Bearer {}")
VERSIONS = pytest.mark.parametrize("version", ["--http1.1", "--http2"])


@pytest.fixture(scope="module")
def holder(tmp_path_factory: pytest.TempPathFactory, upstreams: UpstreamPlan) -> Iterator[Running]:
    """A proxy with two credentials for one host."""
    rules = [*RULES[1:], rule("api.test", ports=(80, 443, 8443)), rule("other.test")]
    plan = make_plan(rules, upstream=upstreams, injected=[TO_API, KEY])
    running = Running(tmp_path_factory.mktemp("holder"), plan, {"TOKEN": REAL, "KEY": HOST_LIKE})
    yield running
    running.close()


@pytest.fixture
def held(holder: Running, https: Upstream, http: Upstream) -> str:
    """The placeholder that the agent holds; what the upstreams saw before is forgotten."""
    https.seen.clear()
    http.seen.clear()
    holder.events(0)
    return holder.proxy.env["TOKEN"]


def test_the_agent_holds_something_of_the_same_shape(held: str) -> None:
    """As long, with the issuer's prefix and the same kinds of characters, and nothing of the secret itself."""
    assert held != REAL
    assert (len(held), held[:13]) == (len(REAL), "sk-ant-oat01-")
    assert [it.isalnum() for it in held] == [it.isalnum() for it in REAL]
    assert held[13:53] != REAL[13:53]


@VERSIONS
def test_the_credential_goes_into_its_header_alone(holder: Running, https: Upstream, held: str, version: str) -> None:
    """S4: for its host, on opened TLS, in both versions; the scheme's case is the client's own."""
    assert holder.status(version, "-H", f"Authorization: bearer {held}", "-d", "x", "https://api.test/") == 200
    (seen,) = https.seen
    assert seen.headers["authorization"] == f"Bearer {REAL}"
    assert seen.version == ("2" if version == "--http2" else "1.1")
    assert {event.verdict for event in holder.events()} == {"allow"}


@VERSIONS
def test_a_request_without_it_gets_nothing(holder: Running, https: Upstream, held: str, version: str) -> None:
    """Only who holds the placeholder has the credential used."""
    assert holder.status(version, "-H", "Authorization: Bearer else", "https://api.test/") == 200
    assert REAL not in str(https.seen)
    assert held not in str(https.seen)


def denial(holder: Running) -> Event:
    """Return the one refusal that is on record; what was let in by a test before may be reported beside it."""
    return wait_for(holder, lambda event: event.verdict == "deny")


def wait_for(holder: Running, wanted: Callable[[Event], bool]) -> Event:
    """Return the one event of a kind, once it is on record."""
    deadline, found = time.monotonic() + 5, list[Event]()
    while not found and time.monotonic() < deadline:
        found += [event for event in holder.events(0) if wanted(event)]
        time.sleep(0.01)
    (event,) = found
    return event


Place = Callable[[str], list[str]]
API = "https://api.test/"
PLACES: dict[str, Place] = {
    "another host": lambda it: ["-H", f"Authorization: Bearer {it}", "https://other.test/"],
    "a host that warns": lambda it: ["-H", f"Authorization: Bearer {it}", "https://warn.test/"],
    "another port": lambda it: ["-H", f"Authorization: Bearer {it}", "https://api.test:8443/"],
    "plain HTTP": lambda it: ["-H", f"Authorization: Bearer {it}", "http://plain.test/"],
    "plain HTTP to its port": lambda it: ["-H", f"Authorization: Bearer {it}", "http://api.test:443/"],
    "plain HTTP in a tunnel": lambda it: ["-p", "-H", f"Authorization: Bearer {it}", "http://api.test:443/"],
    "another header": lambda it: ["-H", f"X-Api-Key: {it}", API],
    "another header in its form": lambda it: ["-H", f"X-Api-Key: Bearer {it}", API],
    "another form": lambda it: ["-H", f"Authorization: token {it}", API],
    "more in the header": lambda it: ["-H", f"Authorization: Bearer {it} {it}", API],
    "basic": lambda it: ["-u", f"x:{it}", API],
    "path": lambda it: [f"{API}{quote(it)}"],
    "query": lambda it: [f"{API}?q={quote(it, safe='')}"],
    "every byte in percent": lambda it: [f"{API}?q=" + "".join(f"%{ord(c):02x}" for c in it)],
    "twice in percent": lambda it: [f"{API}?q=" + quote(quote("".join(f"%{ord(c):02X}" for c in it)))],
    "body": lambda it: ["-d", f"token={it}", API],
    "upper case": lambda it: ["-d", it.upper(), API],
    "form": lambda it: ["--data-urlencode", f"token={it}", API],
    "json": lambda it: ["-d", json.dumps({"a": it}).replace("/", "\\/"), API],
    "json escapes": lambda it: ["-d", "".join(f"\\u00{ord(c):02x}" for c in it), API],
    "a literal of a program": lambda it: ["-d", "".join(f"\\x{ord(c):02x}" for c in it), API],
    "base64": lambda it: ["-d", base64.b64encode(it.encode()).decode(), API],
    "base64 at one": lambda it: ["-d", base64.b64encode(b"a" + it.encode()).decode(), API],
    "base64 at two": lambda it: ["-d", base64.urlsafe_b64encode(b"ab" + it.encode() + b"c").decode(), API],
    "base64 in lines": lambda it: ["--data-binary", base64.encodebytes(it.encode() * 3).decode(), API],
    "hex": lambda it: ["-d", it.encode().hex(), API],
    "hex in a form": lambda it: ["-d", f"a={it.encode().hex(' ').replace(' ', '+')}", API],
    "hex with colons": lambda it: ["-d", it.encode().hex(":").upper(), API],
    "a cookie": lambda it: ["-b", f"a={it}", API],
    "upload": lambda it: ["-F", f"file=@/dev/null;filename={it.replace('/', '%2F')}", API],
    "a part of a form": lambda it: ["-F", f"token={it}", API],
    "a referer": lambda it: ["-e", f"{API}?{quote(it)}", API],
    "trace": lambda it: ["-X", "TRACE", "-H", f"X-Who: {it}", API],
    "a method's target": lambda it: ["-X", "OPTIONS", "--request-target", f"/{quote(it)}", API],
}


BROTLI: Any = brotli
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: b"--boundary\r\n\r\n" + gzip.compress(b"first") + gzip.compress(data) + b"\r\n--boundary--",
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": BROTLI.compress,
    "zstd": zstandard.compress,
}


@VERSIONS
@pytest.mark.parametrize("what", ["placeholder", "real value"])
@pytest.mark.parametrize("place", PLACES)
def test_it_is_refused_anywhere_else(
    holder: Running, https: Upstream, http: Upstream, held: str, version: str, what: str, place: str
) -> None:
    """S4: URL, body, other headers, other hosts, plain HTTP, encodings: neither of the two reaches an upstream."""
    text = held if what == "placeholder" else REAL
    done = holder.curl(version, "-w", "%{http_code}", *PLACES[place](text))
    assert done.stdout.endswith(b"403"), done
    assert (https.seen, http.seen) == ([], [])
    event = denial(holder)
    assert (event.verdict, event.rule) == ("deny", "credential")
    assert "TOKEN" in event.reason
    assert text.lower() not in str(event).lower()


def test_the_real_value_from_inside_is_refused_even_at_its_place(holder: Running, https: Upstream, held: str) -> None:
    """Whoever has it inside has stolen it."""
    assert holder.status("-H", f"Authorization: Bearer {REAL}", API) == 403
    assert denial(holder).rule == "credential"
    assert (https.seen, held in str(https.seen)) == ([], False)


@pytest.mark.parametrize("what", ["placeholder", "real value"])
@pytest.mark.parametrize("coding", PACKERS)
def test_a_compressed_body_is_looked_into(holder: Running, https: Upstream, held: str, what: str, coding: str) -> None:
    """S4: whether it says so, or is a file that is uploaded."""
    text = held if what == "placeholder" else REAL
    packed = PACKERS[coding](b"some words " * 50 + text.encode())
    header = ["-H", f"Content-Encoding: {coding}"] if coding else []
    assert holder.status("--data-binary", "@-", *header, API, stdin=packed) == 403
    assert denial(holder).rule == "credential"
    assert https.seen == []


@VERSIONS
@pytest.mark.parametrize("what", ["placeholder", "real value"])
def test_it_is_refused_in_the_name_of_a_header(
    holder: Running, https: Upstream, held: str, version: str, what: str
) -> None:
    """S4: what can stand there."""
    del held
    name = holder.proxy.env["KEY"] if what == "placeholder" else HOST_LIKE
    assert holder.status(version, "-H", f"x-{name}: 1", API) == 403
    assert (denial(holder).rule, https.seen) == ("credential", [])


@pytest.mark.parametrize(
    ("asked", "sent"),
    [(["gzip, br"], "gzip"), (["br, zstd"], "identity"), (["gzip", "-H", "Range: bytes=2-"], "identity")],
)
def test_an_answer_is_asked_for_in_a_coding_that_can_be_undone(
    holder: Running, https: Upstream, held: str, asked: list[str], sent: str
) -> None:
    """S5: else every answer to a client that knows more would be refused."""
    first, *rest = asked
    assert holder.status("-H", f"Authorization: Bearer {held}", "-H", f"Accept-Encoding: {first}", *rest, API) == 200
    assert https.seen[0].headers["accept-encoding"] == sent


def test_a_large_body_is_searched_over_its_windows(holder: Running, https: Upstream, held: str) -> None:
    """S4: wherever it stands in two megabytes."""
    for at in (0, (1 << 18) - 10, 2_000_000 - 57):
        body = b"x" * at + held.encode() + b"x" * (2_000_000 - at)
        assert holder.status("--data-binary", "@-", API, stdin=body) == 403
        assert denial(holder).rule == "credential"
    assert https.seen == []


@pytest.mark.parametrize("url", ["https://{}.wild.test/", "http://{}.wild.test/", "https://a.{}.wild.test/"])
@pytest.mark.parametrize("what", ["placeholder", "real value"])
def test_it_is_refused_in_a_name_before_that_is_resolved(
    holder: Running, https: Upstream, held: str, url: str, what: str
) -> None:
    """S4, N7: below an allowed wildcard, in a CONNECT and in a plain request."""
    del held
    connections = https.connections
    assert holder.status(url.format(HOST_LIKE if what == "real value" else holder.proxy.env["KEY"])) == 403
    event = denial(holder)
    assert (event.rule, "KEY" in event.reason) == ("credential", True)
    assert https.connections == connections


@pytest.mark.parametrize("what", ["placeholder", "real value"])
def test_it_is_refused_in_a_name_that_stands_in_the_target_alone(holder: Running, held: str, what: str) -> None:
    """S4, N7: HTTP/1.0 knows requests without a Host header."""
    del held
    name = holder.proxy.env["KEY"] if what == "placeholder" else HOST_LIKE
    with holder.connection(f"GET http://{name}.wild.test/ HTTP/1.0\r\n\r\n".encode()) as sock:
        assert b" 403 " in read_head(sock)
    assert denial(holder).rule == "credential"


@pytest.mark.parametrize("what", ["placeholder", "real value"])
def test_it_is_refused_behind_a_body(holder: Running, https: Upstream, held: str, what: str) -> None:
    """S4: a trailer of HTTP/2 is passed on, those of HTTP/1.1 are not."""
    client: Any = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    head = {":method": "POST", ":scheme": "https", ":authority": "api.test", ":path": "/"}
    client.send_headers(1, head.items())
    client.send_headers(1, [("x-who", held if what == "placeholder" else REAL)], end_stream=True)
    status = ""
    with holder.tls("api.test:443", alpn=("h2",)) as sock:
        sock.sendall(client.data_to_send())
        while not status:
            arrived: list[Any] = client.receive_data(sock.recv(65536))
            heads = [it.headers for it in arrived if it.__class__ is h2.events.ResponseReceived]
            status = dict(heads[0])[":status"] if heads else ""
    assert (status, denial(holder).rule, https.seen) == ("403", "credential", [])


def test_a_redirect_does_not_carry_it_on(holder: Running, https: Upstream, held: str) -> None:
    """S4: a client that follows to another host with its header is refused there."""
    options = ("--location-trusted", "-w", "%{http_code}", "-H", f"Authorization: Bearer {held}")
    done = holder.curl(*options, f"{API}whoami?header")
    assert done.stdout.endswith(b"403"), done
    assert denial(holder).host == "other.test"
    assert [seen.target for seen in https.seen] == ["/whoami?header"]


@VERSIONS
@pytest.mark.parametrize("how", ["plain", "gzip", "deflate", "header", "base64"])
def test_an_answer_is_without_it(holder: Running, held: str, version: str, how: str) -> None:
    """S5: an upstream that says who asked: in a header, the body, a compressed one, over the ends of chunks."""
    done = holder.curl(version, "-i", "-H", f"Authorization: Bearer {held}", f"{API}whoami?{how}")
    body = done.stdout
    assert done.returncode == 0, done
    assert not [form for form in (REAL, quote(REAL), quote(REAL, safe="")) if form.encode() in body]
    if how == "base64":
        body = base64.b64decode(body.rpartition(b"\r\n\r\n")[2])
        assert REAL.encode() not in body
    if how in PACKERS:
        head = body.rpartition(b"\r\n\r\n")[0].lower()
        assert (b"content-encoding" in head, b"content-length" in head) == (False, False)
    expected = 1 if how == "header" else 500
    shown = quote(held) if how == "header" else held[:-1]  # in base64 the last character shares bits with what follows
    assert body.count(shown.encode()) == expected


def test_a_trailer_of_http2_is_without_it(holder: Running, held: str) -> None:
    """S5: what follows a body is passed on, and has the placeholder."""
    done = holder.curl("--http2", "-i", "-H", f"Authorization: Bearer {held}", f"{API}whoami?trailer")
    assert done.stdout.endswith(f"the bodyx-who: Bearer {held}\r\n".encode()), done


def test_an_answer_that_cannot_be_looked_into_is_refused(holder: Running, held: str) -> None:
    """S5: compressed in a way that was not asked for."""
    done = holder.curl("-w", "%{http_code}", "-H", f"Authorization: Bearer {held}", f"{API}whoami?br")
    assert done.stdout.endswith(b"rule: encoding\n502"), done
    assert denial(holder).rule == "encoding"


@VERSIONS
@pytest.mark.parametrize(("how", "why"), [("bomb", "more than 100 times"), ("broken", "incorrect header")])
def test_an_answer_that_is_no_good_is_cut_off_and_said(
    holder: Running, held: str, version: str, how: str, why: str
) -> None:
    """S5: what grows without end, or is not what it says, ends its connection; the record has why."""
    done = holder.curl(version, "-o", "/dev/null", "-H", f"Authorization: Bearer {held}", f"{API}whoami?{how}")
    assert done.returncode != 0
    assert wait_for(holder, lambda event: why in event.reason).verdict == "allow"
    assert holder.status("-H", f"Authorization: Bearer {held}", API) == 200


def test_an_answer_of_some_megabytes_may_have_been_anything(holder: Running, held: str) -> None:
    """S5: sixteen megabytes of nothing, a thousandth of that on the way, arrive whole."""
    done = holder.curl("-H", f"Authorization: Bearer {held}", f"{API}whoami?zeros")
    assert (done.returncode, len(done.stdout), done.stdout.strip(b"\0")) == (0, 16 << 20, b"")


def test_an_event_is_not_held_up(tmp_path: Path, upstreams: UpstreamPlan) -> None:
    """S5: each server-sent event arrives without the credential, and before the next one is sent."""
    to_one = Injection(name="TOKEN", host="one.test", header="authorization", format="Bearer {}")
    running = Running(tmp_path, make_plan(RULES, upstream=upstreams, injected=[to_one]), {"TOKEN": REAL})
    try:
        placeholder = running.proxy.env["TOKEN"]
        with running.tls("one.test:443") as sock:
            sock.sendall(
                f"GET /events HTTP/1.1\r\nHost: one.test\r\nAuthorization: Bearer {placeholder}\r\n\r\n".encode()
            )
            assert b" 200 " in read_head(sock)
            text, arrivals = b"", list[float]()
            while text.count(b"\n\n") < 5:
                text += sock.recv(4096)
                arrivals += [time.monotonic()] * (text.count(b"\n\n") - len(arrivals))
    finally:
        running.close()
    assert REAL.encode() not in text
    assert text.replace(b"\r\n", b"").count(b"Bearer ") == 5
    assert arrivals[-1] - arrivals[0] > 0.2  # they are sent within 0.4 s; on a busy machine two may be read at once
    assert len(set(arrivals)) > 2


def test_what_a_refusal_quotes_is_without_it(holder: Running, held: str) -> None:
    """S6: no credential is on record because a client wrote it where a host's name is."""
    del held
    with holder.tls("api.test:443") as sock:
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {HOST_LIKE}.test\r\n\r\n".encode())
        assert b" 421 " in read_head(sock)
    event = denial(holder)
    assert "the Host header names" in event.reason
    assert HOST_LIKE not in str(event)


def test_a_header_in_two_lines_is_refused(holder: Running, https: Upstream, held: str) -> None:
    """S4: a continuation (RFC 9112, 5.2) is not put together by every upstream in the same way."""
    for header in (f"Authorization: Bearer\r\n {held}", f"X-A: {held[:20]}\r\n {held[20:]}"):
        with holder.tls("api.test:443") as sock:
            sock.sendall(f"GET / HTTP/1.1\r\nHost: api.test\r\n{header}\r\n\r\n".encode())
            assert read_head(sock).startswith(b"HTTP/1.1 400")
        assert denial(holder).rule == "form"
    assert https.seen == []


SAID: dict[str, Callable[[str], list[wsproto.events.Event]]] = {
    "text": lambda it: [wsproto.events.TextMessage(f"hello {it}")],
    "base64": lambda it: [wsproto.events.BytesMessage(base64.b64encode(b"a" + it.encode()))],
    "parts": lambda it: [
        wsproto.events.TextMessage(it[:20], message_finished=False),
        wsproto.events.TextMessage(it[20:]),
    ],
}


@pytest.mark.parametrize("how", SAID)
def test_a_websocket_s_messages_are_looked_at(holder: Running, https: Upstream, held: str, how: str) -> None:
    """S4: a message with the placeholder closes it; the credential of the handshake is put in."""
    https.messages.clear()
    client = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    headers = [(b"Authorization", f"Bearer {held}".encode())]
    with holder.tls("api.test:443") as sock:
        sock.sendall(client.send(wsproto.events.Request("api.test", "/ws", extra_headers=headers)))
        client.receive_data(read_head(sock))
        assert isinstance(next(client.events()), wsproto.events.AcceptConnection)
        for event in SAID[how](held):
            sock.sendall(client.send(event))
        sock.settimeout(5)
        assert _ends(sock)
    assert denial(holder).rule == "credential"
    assert [it for it in https.messages if it.strip() != b"close"] == []


def _ends(sock: socket.socket) -> bool:
    try:
        while sock.recv(4096):
            pass
    except OSError:
        return False
    return True
