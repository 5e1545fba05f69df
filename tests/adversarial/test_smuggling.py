"""Requests that say one thing to the proxy and another to the server behind it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from e2e_upstream import ALLOWED, Internet
from e2e_user import Bottle, wait_until

CLIENT = Path(__file__).with_name("hostile_client.py").read_text(encoding="utf-8")
TOKEN = "ghp_" + "aB3dE6gH9k" * 3 + "123456"
SECOND = "\r\nHost: evil.test\r\n\r\nGET /second"


def h2(path: str = "/smuggled", *fields: tuple[str, str], method: str = "GET", **rest: Any) -> dict[str, Any]:
    """Return a request in HTTP/2 that is fine but for what is given."""
    pseudo = [(":method", method), (":scheme", "https"), (":authority", ALLOWED), (":path", path)]
    return {"h2": [*pseudo, *fields], **rest}


def h1(path: str = "/smuggled", header: str = "") -> dict[str, Any]:
    """Return a request in HTTP/1.1 that is fine but for what is given."""
    return {"h1": f"GET {path} HTTP/1.1\r\nHost: {ALLOWED}\r\n{header}\r\n"}


def statuses(bottle: Bottle, *requests: dict[str, Any]) -> list[int | None]:
    """Send requests from inside, each in a tunnel of its own, and return how they were answered."""
    wanted = json.dumps({"host": ALLOWED, "requests": requests})
    done = bottle.exec("python3", "-", wanted, stdin=CLIENT)
    assert done.code == 0, done.err
    return json.loads(done.out)


SMUGGLED = {
    "a second request in a path": h2(f"/smuggled HTTP/1.1{SECOND}"),
    "a line end in a path": h2("/smuggled\nx-other: 1"),
    "a version in a path": h2("/smuggled HTTP/1.0"),
    "another host as the path": h2("https://evil.test/smuggled"),
    "an authority as the path": h2("@evil.test/smuggled"),
    "another Host in a value": h2("/smuggled", ("x", "1\r\nhost: evil.test")),
    "a second request in a value": h2("/smuggled", ("x", f"1\r\n\r\nGET /second HTTP/1.1{SECOND}")),
    "a bare line feed in a value": h2("/smuggled", ("x", "1\nhost: evil.test")),
    "a bare carriage return in a value": h2("/smuggled", ("x", "1\rhost: evil.test")),
    "a NUL in a value": h2("/smuggled", ("x", "1\0")),
    "a content encoding in a value": h2(
        "/smuggled",
        ("x", "1\r\ncontent-encoding: gzip"),
        method="POST",
        body=gzip.compress(TOKEN.encode()).decode("latin-1"),
    ),
    "a second request in a trailer": h2(
        "/smuggled", method="POST", body="x", trailers=[("x", f"1\r\n\r\nGET /second HTTP/1.1{SECOND}")]
    ),
    "a header in a trailer's name": h2("/smuggled", method="POST", body="x", trailers=[("x: 1\r\ny", "1")]),
    "a folded header": h1("/smuggled", "x: 1\r\n host: evil.test\r\n"),
    "a bare carriage return in a header": h1("/smuggled", "x: 1\rHost: evil.test\r\n"),
    "a NUL in a header": h1("/smuggled", "x: 1\0\r\n"),
    "control characters in a path": h1("/smuggled\x1b[2J"),
}


@pytest.fixture(scope="module")
def answers(bottle: Bottle, internet: Internet) -> dict[str, int | None]:
    """How each was answered, after the same client was answered by the server itself."""
    assert (
        statuses(bottle, h2("/witness2", ("x", "1"), method="POST", body="x"), h1("/witness1", "x: 1\r\n")) == [200] * 2
    )
    assert internet.got("/witness1")
    assert internet.got("/witness2")
    return dict(zip(SMUGGLED, statuses(bottle, *SMUGGLED.values()), strict=True))


@pytest.mark.parametrize("what", SMUGGLED)
def test_what_a_server_could_read_in_another_way_is_refused(what: str, answers: dict[str, int | None]) -> None:
    """N6, N12: a line end in HTTP/2 would be a header, a host or a whole request of its own in HTTP/1.1."""
    assert answers[what] in {400, None}  # None: the engine itself has closed the connection


def test_nothing_of_it_reaches_the_server(answers: dict[str, int | None], internet: Internet) -> None:
    """N6: neither the request nor what was hidden in it arrives."""
    assert answers
    assert not [it for it in internet.seen if "smuggled" in it.target or "second" in it.target or "evil" in it.host]


def test_what_is_refused_stands_in_the_record(answers: dict[str, int | None], bottle: Bottle) -> None:
    """A refusal for its form is an event as any other, with its reason and on one line."""
    assert answers
    found = [event for event in bottle.user.events() if "smuggled" in event["path"] and event["rule"] == "form"]
    assert len(found) >= len(SMUGGLED) // 2
    assert all(text.isprintable() for event in found for text in (event["path"], event["reason"]))


@pytest.mark.parametrize("path", ["/\xff\xfe", "/\xc2\x9b31m", "/\xe2\x80\xae", "/%ff%1b"])
def test_a_path_that_is_no_text_is_recorded(path: str, bottle: Bottle, internet: Internet) -> None:
    """Such a request reaches an allowed server, so it stands in the record, as something that prints."""
    seen, events = len(internet.seen), len(bottle.user.events())
    assert statuses(bottle, h1(path)) == [200]
    assert len(internet.seen) == seen + 1
    assert wait_until(lambda: len(bottle.user.events()) > events)
    (event,) = bottle.user.events()[events:]
    assert (event["verdict"], event["status"]) == ("allow", 200)
    assert event["path"].isprintable()
