"""What happens when something in the process breaks, and that everything works with what was at hand at the drop."""

import contextlib
import os
import time

import pytest
from egress_harness import (
    RULES,
    TOKEN,
    Altered,
    Running,
    read_head,
    read_response,
    read_to_end,
    rule,
)
from egress_upstream import Upstream


def test_nothing_is_imported_after_the_drop(altered: Altered, https1: Upstream) -> None:
    """Files may be out of reach then: every way through the proxy works with what is at hand."""
    running = altered(
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        print(json.dumps({'error': 'import ' + name}), flush=True)\n"
        "import json\n"
        "drop = main.drop\n"
        "def dropped(*args):\n"
        "    drop(*args)\n"
        "    sys.meta_path.insert(0, Watch())\n"
        "main.drop = dropped\n"
    )
    exercise(running)
    time.sleep(0.2)
    assert running.proxy._error == ""  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - white box


def exercise(running: Running) -> None:
    """Use everything there is."""
    big = os.urandom(300_000)
    for version in ("--http1.1", "--http2"):
        for encoding in ("identity", "gzip", "br", "zstd", "deflate"):
            running.status(version, "-H", f"Content-Encoding: {encoding}", "-d", "x", "https://api.test/")
        assert running.status(version, "--data-binary", "@-", "https://api.test/", stdin=big) == 200
        assert running.status(version, "-d", TOKEN, "https://api.test/") == 403
        assert running.status(version, "https://one.test/") == 200
        assert running.status(version, "https://wrong.test/") == 502
        assert running.status(version, "https://nowhere.wild.test/") == 502
        assert running.status(version, "https://localhost:8443/") == 502
    assert running.status("http://plain.test/") == 200
    assert running.status("-k", "https://opaque.test/") == 200
    assert running.status("https://no.test/") == 403
    with running.tls("one.test:443") as tls:
        tls.sendall(
            b"GET /ws HTTP/1.1\r\nHost: one.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        )
        tls.recv(4096)
        tls.sendall(b"\x81\x82\0\0\0\0hi\x88\x80\0\0\0\0")
        read_to_end(tls)
    with running.tunnel("api.test:443") as sock:
        sock.sendall(b"\0\0\0")
        read_to_end(sock)
    with running.connection(b"\xff") as sock:
        read_to_end(sock)
    assert running.proxy.reload([*RULES, rule("more.test")])


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("gate.scan = None", b"HTTP/1.1 403"),
        ("gate.decide_tunnelled = None", b"HTTP/1.1 403"),
        ("gate._strip = None", b"HTTP/1.1 403"),
        ("stream.Stream.check_body_size = None", b""),
        ("tunnel.content_of = None", b""),
        ("handler.SILENT = ()", b""),
        ("handler.DIAL = None", b""),
        ("gate.Gate.responseheaders = None", b""),
    ],
)
def test_what_breaks_closes(altered: Altered, http: Upstream, code: str, answer: bytes) -> None:
    """N14: an exception in a hook, an unknown hook, a crash in a layer: 403 or the end, never an answer."""
    running = altered(code)
    http.seen.clear()
    with running.connection(b"CONNECT plain.test:443 HTTP/1.1\r\n\r\n") as sock:
        assert read_head(sock)[:12] in {b"HTTP/1.1 200", b""}
        with contextlib.suppress(ConnectionError):
            sock.sendall(b"POST /x HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 1\r\n\r\nx")
        assert (read_response(sock).startswith(answer)) if answer else (read_to_end(sock) == b"")
    if "responseheaders" not in code:
        assert http.seen == []
    assert running.process.poll() is None


def test_a_dial_is_decided_on_once_more(altered: Altered, https: Upstream) -> None:
    """N14: were a request let through by mistake, its connection is still refused."""
    running = altered(
        "from bottle_mitmproxy.policy.decision import Decision\n"
        "def lenient(policy, head):\n"
        "    return Decision(verdict='allow', host=head.host, port=head.port, level='block')\n"
        "gate.decide_plain = lenient"
    )
    before = https.connections
    done = running.curl("-w", "%{http_code}", "http://other.test/")
    assert done.stdout.endswith(b"502")
    assert b"not in this bottle's egress allowlist" in done.stdout
    assert https.connections == before


def test_a_connect_that_cannot_be_decided_on_is_refused(altered: Altered) -> None:
    """N14: the first decision fails closed as well, and the proxy goes on."""
    running = altered("gate.find_in_url = None")
    with running.connection(b"CONNECT api.test:443 HTTP/1.1\r\n\r\n") as sock:
        answer = read_response(sock)
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"rule: internal" in answer
