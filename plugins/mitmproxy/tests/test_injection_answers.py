"""An upstream that repeats the credential it was sent, in its own way: what comes back is without it.

Its answers are written byte by byte, for most of what is tried here no server's library says.
"""

import asyncio
import base64
import gzip
import itertools
import json
import re
import secrets
import time
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
import wsproto
import wsproto.events
from egress_harness import Running, make_plan, read_head, rule
from egress_upstream import TestAuthority, ThreadServer
from hypothesis import given
from hypothesis import strategies as st
from wsproto.extensions import Extension, PerMessageDeflate

from bottle_mitmproxy.policy.reading import Reading
from bottle_mitmproxy.policy.vault import Cleaner, Entry, Vault
from claude_bottle.plan.spec import Upstream as UpstreamPlan
from claude_bottle.seam.event import Event
from claude_bottle.seam.part import Injection
from claude_bottle.seam.placeholder import make_placeholder

REAL = f"sk-ant-oat01-{secrets.token_hex(20)}_-+/=???{secrets.token_hex(3)}".encode()
TO_ECHO = Injection(name="TOKEN", host="echo.test", header="authorization", format="Bearer {}")
VERSIONS = pytest.mark.parametrize("version", ["--http1.1", "--http2"])

Make = Callable[[bytes], bytes]


def every(form: str) -> Make:
    """Return what writes each character of a text in a form."""
    return lambda it: "".join(form.format(byte) for byte in it).encode()


FORMS: dict[str, Make] = {
    "plain": lambda it: b"you are " + it + b" to us",
    "JSON": lambda it: json.dumps({"token": it.decode()}).encode(),
    "JSON with slashes escaped": lambda it: it.replace(b"/", b"\\/"),
    "JSON that is safe in HTML": lambda it: re.sub(rb"[+/=]", lambda c: b"\\u%04X" % ord(c[0]), it),
    "JSON in capital escapes": every("\\u{:04X}"),
    "JSON in small escapes": every("\\u{:04x}"),
    "a literal of a program": every("\\x{:02x}"),
    "percent": lambda it: quote(it, safe="").encode(),
    "percent in small letters": lambda it: quote(it, safe="").lower().encode(),
    "every byte in percent": every("%{:02X}"),
    "HTML": lambda it: re.sub(rb"[-+/=]", lambda c: b"&#%d;" % ord(c[0]), it),
    "HTML in hexadecimal": every("&#x{:x};"),
    "hex": lambda it: it.hex().encode(),
    "base64": base64.b64encode,
    "base64 one on": lambda it: base64.b64encode(b"a" + it + b"zz"),
    "base64 two on": lambda it: base64.b64encode(b"ab" + it + b"z"),
    "base64 for URLs": lambda it: base64.urlsafe_b64encode(b"ab" + it + b"z"),
    "base64 in percent": lambda it: quote(base64.b64encode(b"ab" + it + b"z"), safe="").encode(),
    "base64 in lines": lambda it: base64.encodebytes(b"a" * 40 + it),
    "base64 in lines of mail": lambda it: base64.encodebytes(b"a" * 40 + it).replace(b"\n", b"\r\n"),
    "base64 in lines in JSON": lambda it: json.dumps(base64.encodebytes(b"a" * 40 + it).decode()).encode(),
    "an event": lambda it: b"data: " + it + b"\n\n",
}
ENDING = 14
"""Bytes at the end of a form that may differ: base64's last characters share bits with what follows."""

OK = b"HTTP/1.1 200 OK\r\n"


def sized(body: bytes, *fields: bytes) -> bytes:
    """Return an answer with a length."""
    return OK + b"".join(it + b"\r\n" for it in fields) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*parts: bytes, trailer: bytes = b"", coding: bytes = b"chunked") -> bytes:
    """Return an answer in chunks."""
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(it), it) for it in parts)
    return OK + b"Transfer-Encoding: " + coding + b"\r\n\r\n" + chunks + b"0\r\n" + trailer + b"\r\n"


REPLACED: dict[str, Make] = {
    "a cookie": lambda it: sized(b"", b"Set-Cookie: a=" + it),
    "a redirect": lambda it: sized(b"", b"Location: https://echo.test/?was=" + quote(it, safe="").lower().encode()),
    "one byte in a chunk": lambda it: chunked(*(bytes([byte]) for byte in it)),
    "two chunks of an event": lambda it: chunked(b"data: " + it[:50], it[50:] + b"\n\n"),
    "gzip": lambda it: sized(gzip.compress(it), b"Content-Encoding: GZIP"),
    "deflate": lambda it: sized(zlib.compress(it), b"Content-Encoding: deflate"),
    "behind an early hint": lambda it: b"HTTP/1.1 103 Early Hints\r\nLink: <" + it + b">\r\n\r\n" + sized(it),
    "behind two of 100": lambda it: b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + sized(it),
}
LEFT_OUT: dict[str, Make] = {
    "a trailer": lambda it: chunked(b"the body", trailer=b"X-Who: " + it + b"\r\n"),
    "a chunk's extension": lambda it: chunked(b"the body").replace(b"8\r\n", b"8;who=" + it + b"\r\n"),
    "behind the end": lambda it: sized(b"the body") + sized(it),
    "a reason": lambda it: b"HTTP/1.1 200 you are " + it + b"\r\nContent-Length: 8\r\n\r\nthe body",
}
REFUSED: dict[str, Make] = {
    "br": lambda it: sized(it, b"Content-Encoding: br"),
    "zstd": lambda it: sized(it, b"Content-Encoding: zstd"),
    "gzip twice": lambda it: sized(gzip.compress(gzip.compress(it)), b"Content-Encoding: gzip, gzip"),
    "gzip, then said to be none": lambda it: sized(
        gzip.compress(it), b"Content-Encoding: gzip", b"Content-Encoding: identity"
    ),
    "a part of gzip": lambda it: sized(gzip.compress(it), b"Content-Encoding: gzip").replace(b"200 OK", b"206 Some"),
    "gzip on the way": lambda it: chunked(gzip.compress(it), coding=b"gzip, chunked"),
    "no HTTP": lambda it: b"you are " + it + b"\r\n\r\n",
    "a header that is none": lambda it: OK + it + b"\r\n\r\n",
    "a header's name that is none": lambda it: sized(b"", it + b" : x"),
    "a length that is none": lambda it: OK + b"Content-Length: " + it + b"\r\n\r\n",
    "a status that is none": lambda it: b"HTTP/1.1 " + it + b" OK\r\n\r\n",
    "a head that ends early": lambda it: OK + b"X-Who: " + it,
}
CASES: dict[str, Make] = {"upper case": bytes.upper, "lower case": bytes.lower}
CUT_OFF: dict[str, Make] = {
    "a chunk that is none": lambda it: OK + b"Transfer-Encoding: chunked\r\n\r\n" + it + b"\r\n",
    "a body that ends early": lambda it: OK + b"Content-Length: 1000\r\n\r\n" + it,
}
BODIES = FORMS | CASES
ANSWERS = REPLACED | LEFT_OUT | REFUSED | CUT_OFF


class Echo(ThreadServer):
    """Answers a request with what its path names and the credential that came with it; then it closes."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        who = re.search(rb"(?im)^authorization: bearer (.*)\r$", head)
        name = head.split(b" ")[1].decode()[1:].replace("%20", " ").replace("%27", "'").replace("%2C", ",")
        if who and who[1] == REAL:
            await self.say(name, head, writer)
        writer.close()

    async def say(self, name: str, head: bytes, writer: asyncio.StreamWriter) -> None:
        """Write the answer."""
        if name == "ws":
            await self.messages(head, writer)
        elif name == "trace":
            writer.write(sized(head))
        else:
            writer.write(sized(BODIES[name](REAL)) if name in BODIES else ANSWERS[name](REAL))
        await writer.drain()

    async def messages(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        """Accept a WebSocket, and say who came in every way that there is."""
        server = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
        server.receive_data(head)
        who = REAL.decode()
        for event in (
            wsproto.events.AcceptConnection(extensions=[PerMessageDeflate()], extra_headers=[(b"X-Who", REAL)]),
            wsproto.events.TextMessage(f"whole {who}"),
            wsproto.events.TextMessage(f"in parts {who[:30]}", message_finished=False),
            wsproto.events.TextMessage(who[30:]),
            wsproto.events.BytesMessage(base64.b64encode(REAL + b"..")),
            wsproto.events.Ping(REAL),
            wsproto.events.CloseConnection(1000, who),
        ):
            writer.write(server.send(event))
        await writer.drain()


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory, authority: TestAuthority) -> Iterator[Running]:
    """A proxy with a credential for the one host that there is."""
    server = Echo(authority.server_context("echo.test", alpn=("http/1.1",))).start()
    upstream = UpstreamPlan(ca=(str(authority.bundle),), hosts=(("echo.test", f"127.0.0.1:{server.port}"),))
    plan = make_plan([rule("echo.test")], upstream=upstream, injected=[TO_ECHO])
    running = Running(tmp_path_factory.mktemp("echo"), plan, {"TOKEN": REAL.decode()})
    yield running
    running.close()
    server.stop()


def ask(echo: Running, version: str, name: str, *options: str) -> tuple[str, bytes, bytes]:
    """Return status, head and body of an answer; neither has the credential, nor has the record."""
    echo.events(0)
    held = echo.proxy.env["TOKEN"]
    shown = ("-i", "--suppress-connect-headers", "-w", "%{stderr}%{http_code}")
    done = echo.curl(
        version, *shown, *options, "-H", f"Authorization: Bearer {held}", f"https://echo.test/{quote(name)}"
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    events = event_of(echo)
    for told in (done.stdout, done.stderr, str(events).encode()):
        assert REAL not in Reading(told).text
    return done.stderr[-3:].decode(), head, body


def event_of(echo: Running) -> list[Event]:
    """Return what is on record, once something is."""
    deadline = time.monotonic() + 5
    found: list[Event] = []
    while not found and time.monotonic() < deadline:
        found = echo.events(0)
        time.sleep(0.005)
    assert found
    return found


@VERSIONS
@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_it_becomes_that_of_the_placeholder(echo: Running, version: str, form: str) -> None:
    """S5: whatever way of writing an upstream has, the agent sees in it what it sent, as many bytes."""
    status, _, body = ask(echo, version, form)
    expected = FORMS[form](echo.proxy.env["TOKEN"].encode())
    assert (status, len(body)) == ("200", len(expected))
    assert body.lower()[:-ENDING] == expected.lower()[:-ENDING]
    assert FORMS[form](REAL)[-ENDING - 20 :] != body[-ENDING - 20 :]


@VERSIONS
@pytest.mark.parametrize("case", CASES)
def test_its_case_is_no_matter(echo: Running, version: str, case: str) -> None:
    """S5: one that was made upper or lower case is one."""
    _, _, body = ask(echo, version, case)
    assert body == echo.proxy.env["TOKEN"].encode()


@VERSIONS
@pytest.mark.parametrize("answer", REPLACED)
def test_an_answer_has_the_placeholder_in_its_place(echo: Running, version: str, answer: str) -> None:
    """S5: in headers, in chunks, compressed, and behind what comes before an answer."""
    status, head, body = ask(echo, version, answer)
    assert status == "200"
    assert echo.proxy.env["TOKEN"].encode() in Reading(head + b"\r\n" + body).text


@VERSIONS
@pytest.mark.parametrize("answer", LEFT_OUT)
def test_what_is_no_part_of_an_answer_is_left_out(echo: Running, version: str, answer: str) -> None:
    """S5: the answer itself arrives whole."""
    assert ask(echo, version, answer)[::2] == ("200", b"the body")


@VERSIONS
@pytest.mark.parametrize("answer", REFUSED)
def test_an_answer_that_cannot_be_read_is_refused_in_our_own_words(echo: Running, version: str, answer: str) -> None:
    """S5: nothing of it is repeated, for it would be repeated with the credential in it."""
    status, head, body = ask(echo, version, answer)
    assert status == "502"
    assert b"x-bottle-rule" in head.lower()
    assert body.startswith(b"claude-bottle ")


@VERSIONS
@pytest.mark.parametrize("answer", CUT_OFF)
def test_an_answer_that_breaks_off_says_nothing_more(echo: Running, version: str, answer: str) -> None:
    """S5: what has come is without the credential, and so is the record of why no more did."""
    status, _, body = ask(echo, version, answer)
    assert status == "200"
    assert echo.proxy.env["TOKEN"].encode().startswith(body)


@pytest.mark.parametrize("answer", CUT_OFF)
def test_the_record_says_in_our_own_words_why_an_answer_broke_off(echo: Running, answer: str) -> None:
    """S5: whatever quotes what came could quote the credential."""
    echo.events(0)
    echo.curl("-H", f"Authorization: Bearer {echo.proxy.env['TOKEN']}", f"https://echo.test/{quote(answer)}")
    assert [it.reason for it in event_of(echo)] == ["its answer is broken off, or is not HTTP"]


@VERSIONS
def test_trace_returns_what_the_agent_sent(echo: Running, version: str) -> None:
    """S5: the request as the upstream saw it, but for the credential (RFC 9110, 9.3.8)."""
    _, _, body = ask(echo, version, "trace", "-X", "TRACE")
    assert f"Bearer {echo.proxy.env['TOKEN']}".encode() in body


@pytest.mark.parametrize("extensions", [[], [PerMessageDeflate()]], ids=["plain", "compressed"])
def test_a_websocket_s_messages_are_without_it(echo: Running, extensions: list[Extension]) -> None:
    """S5: whole ones, ones in parts, in base64; a ping and a reason that carry it do not pass."""
    client = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    held = echo.proxy.env["TOKEN"]
    headers = [(b"Authorization", f"Bearer {held}".encode())]
    with echo.tls("echo.test:443") as sock:
        request = wsproto.events.Request("echo.test", "/ws", extensions=extensions, extra_headers=headers)
        sock.sendall(client.send(request))
        head = read_head(sock)
        client.receive_data(head)
        sock.settimeout(5)
        events = list(client.events())
        while not isinstance(events[-1], wsproto.events.CloseConnection):
            client.receive_data(sock.recv(4096))
            events += client.events()
    assert REAL not in head
    assert held.encode() in head
    assert (b"permessage-deflate" in head) == bool(extensions)
    said = "".join(it.data for it in events if isinstance(it, wsproto.events.TextMessage))
    assert said == f"whole {held}in parts {held}"
    (packed,) = [it.data for it in events if isinstance(it, wsproto.events.BytesMessage)]
    assert base64.b64decode(packed)[:-4] == held.encode()[:-2]
    assert not [it for it in events if isinstance(it, wsproto.events.Ping)]
    assert not events[-1].reason  # pyright: ignore[reportAttributeAccessIssue] - it is a CloseConnection


VAULT = Vault([Entry(TO_ECHO, REAL, make_placeholder(REAL.decode()).encode())])


@given(st.sampled_from(sorted(FORMS)), st.lists(st.integers(0, 500), max_size=6))
def test_a_form_is_found_wherever_it_is_cut(form: str, cuts: list[int]) -> None:
    """S5: whatever the chunks, the same comes out."""
    whole = b"{before " + FORMS[form](REAL) + b" after}"
    edges = sorted({0, len(whole), *(it for it in cuts if it < len(whole))})
    cleaner = Cleaner(VAULT)
    parts = [cleaner.feed(whole[at:to]) for at, to in itertools.pairwise(edges)]
    out = b"".join([*parts, cleaner.feed(b"", last=True)])
    assert out == VAULT.clean(whole) != whole
    assert len(out) == len(whole)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b'"}\n\n', b'"}\n', b"\n"])
def test_an_event_that_ends_like_one_begins_is_not_held_up(end: bytes) -> None:
    """S5: each event, and each line, goes on as it comes, also one that ends with a credential's first letters."""
    events = [b"data: this is a task" + end, b"data: ask" + end, b"data: 100%" + end, b"data: a\\\\" + end]
    cleaner = Cleaner(VAULT)
    assert [cleaner.feed(it) for it in events] == events


def test_a_value_that_looks_like_an_escape_is_found_as_it_is() -> None:
    """S5: a password may have percent signs and ampersands in it."""
    value = b"pass%41word&#65;again"
    vault = Vault([Entry(TO_ECHO, value, make_placeholder(value.decode()).encode())])
    for form in ("plain", "JSON", "percent", "hex", "base64"):
        assert value not in Reading(vault.clean(FORMS[form](value))).text
        assert FORMS[form](value) != vault.clean(FORMS[form](value))
