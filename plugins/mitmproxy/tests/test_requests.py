"""Requests: every name in them must be the connection's, and what cannot be looked into does not pass."""

import pytest
from egress_harness import rule
from hypothesis import given
from hypothesis import strategies as st

from bottle_mitmproxy.policy.head import Head, content_of
from bottle_mitmproxy.policy.policy import Policy
from bottle_mitmproxy.policy.requests import BODY_LIMIT, decide_plain, decide_tunnelled

POLICY = Policy([rule("x.test"), rule("y.test")])
TUNNEL = POLICY.connect("x.test:443")
GOOD = Head("GET", "HTTP/1.1", "https", "x.test", 443, fields=((b"Host", b"x.test"),), sni="x.test")


def test_a_request_whose_names_agree_passes() -> None:
    """The plain case, in both versions."""
    assert decide_tunnelled(POLICY, TUNNEL, GOOD).allowed
    assert decide_tunnelled(POLICY, TUNNEL, GOOD._replace(version="HTTP/2.0", authority="x.test", fields=())).allowed
    assert decide_tunnelled(POLICY, TUNNEL, GOOD._replace(sni=None)).allowed


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"sni": "y.test"}, 421),
        ({"fields": ((b"host", b"y.test"),)}, 421),
        ({"fields": ((b"hOST", b"x.test:80"),)}, 421),
        ({"version": "HTTP/2.0", "authority": "y.test"}, 421),
        ({"authority": "x.test"}, 400),
        ({"authority": "y.test"}, 400),
        ({"fields": ((b"host", b"x.test"), (b"Host", b"x.test"))}, 400),
        ({"fields": ((b"host", b"x.test\xff"),)}, 400),
        ({"method": "CONNECT"}, 400),
        ({"method": "PRI"}, 400),
        ({"method": "get"}, 400),
        ({"version": "HTTP/0.9"}, 400),
        ({"fields": ((b"content-encoding", b"rot13"),)}, 415),
        ({"fields": ((b"content-encoding", b"gzip, br"),)}, 415),
        ({"fields": ((b"content-encoding", b"gzip"), (b"Content-Encoding", b"br"))}, 415),
        ({"fields": ((b"transfer-encoding", b"gzip, chunked"),)}, 415),
        ({"fields": ((b"content-length", str(BODY_LIMIT + 1).encode()),)}, 413),
        ({"fields": ((b"content-length", b"-1"),)}, 413),
    ],
)
def test_a_request_that_differs_in_one_thing_is_refused(change: dict[str, object], status: int) -> None:
    """N6, N12: SNI, Host, `:authority`, absolute form, encodings, lengths."""
    decision = decide_tunnelled(POLICY, TUNNEL, GOOD._replace(**change))  # type: ignore[arg-type]
    assert (decision.allowed, decision.status) == (False, status)


@given(st.text(min_size=1, max_size=30))
def test_no_other_name_passes_for_the_host(name: str) -> None:
    """N4, N6: whatever stands in Host, it is the tunnel's name or it does not pass."""
    decision = decide_tunnelled(POLICY, TUNNEL, GOOD._replace(fields=((b"host", name.encode()),)))
    if decision.allowed:
        assert name.strip().lower().removesuffix(":443").removesuffix(".") == "x.test"


def test_a_tunnel_that_is_no_longer_allowed_lets_nothing_pass() -> None:
    """N13: the policy of the request's moment decides."""
    assert not decide_tunnelled(Policy([rule("y.test")]), TUNNEL, GOOD).allowed


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"host": "X.TEST."}, 200),
        ({"host": "z.test"}, 403),
        ({"port": 8080}, 403),
        ({"scheme": "https", "port": 443}, 400),
        ({"scheme": "ftp"}, 400),
        ({"host": "x.test@z.test"}, 400),
        ({"host": "127.0.0.1"}, 403),
        ({"host": "0x7f.1"}, 400),
        ({"fields": ((b"host", b"y.test"),)}, 421),
    ],
)
def test_a_plain_request_is_decided_by_its_target(change: dict[str, object], status: int) -> None:
    """Without CONNECT the target names the host, and Host must agree."""
    head = Head("GET", "HTTP/1.1", "http", "x.test", 80)._replace(**change)  # type: ignore[arg-type]
    assert decide_plain(POLICY, head).status == status


def test_an_international_name_is_compared_in_its_ascii_form() -> None:
    """The library hands over what it decoded; the rule is in ASCII."""
    policy = Policy([rule("bücher.test")])
    assert decide_plain(policy, Head("GET", "HTTP/1.1", "http", "bücher.test", 80)).host == "xn--bcher-kva.test"


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (b"", None),
        (b"\x16", None),
        (b"\x16\x03", None),
        (b"\x16\x03\x01", "tls"),
        (b"\x16\x03\x09", "other"),
        (b"\x16\xfe\xff", "other"),
        (b"G", None),
        (b"GET", None),
        (b"GET ", "http"),
        (b"M-SEARCH * HTTP/1.1", "http"),
        (b"SSH-2.0-OpenSSH_9", "other"),
        (b"\x05\x01\x00", "other"),
        (b"get / HTTP/1.1", "other"),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "other"),
    ],
)
def test_the_first_bytes_of_a_tunnel_tell_what_it_is(data: bytes, content: str | None) -> None:
    """N3: TLS, HTTP, or something that must not pass; None waits for more."""
    assert content_of(data) == content


@given(st.binary(min_size=24, max_size=60))
def test_a_decision_on_first_bytes_always_comes(data: bytes) -> None:
    """N3: nobody can keep a tunnel undecided by sending more."""
    assert content_of(data) is not None
