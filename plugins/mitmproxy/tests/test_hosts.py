"""Host names: one spelling for each, and nothing that two parsers could read in two ways."""

import ipaddress
import socket
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottle_mitmproxy.policy.hosts import (
    Authority,
    HostError,
    is_literal,
    parse_authority,
    parse_host,
    parse_pattern,
    parse_place,
)

LABELS = st.from_regex(r"[a-z_][a-z0-9_-]{0,20}[a-z0-9_]", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=5).map(".".join)


@given(NAMES, st.data())
def test_case_and_one_final_dot_make_no_difference(name: str, data: st.DataObject) -> None:
    """N4: however a name is written, it is compared in one form."""
    cases = data.draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    shouted = "".join(c.upper() if up else c for c, up in zip(name, cases, strict=True))
    dot = data.draw(st.sampled_from(["", "."]))
    assert parse_host(shouted + dot) == name


@given(st.text(max_size=60))
def test_the_canonical_form_is_a_fixed_point_of_harmless_characters(text: str) -> None:
    """N4: whatever comes out is ASCII without NUL, `@`, `%`, space or brackets, and reads as itself again."""
    try:
        host = parse_host(text)
    except HostError:
        return
    assert set(host) <= set(string.ascii_lowercase + string.digits + "._-:")
    assert parse_host(f"[{host}]" if ":" in host else host) == host


@given(NAMES, st.sampled_from("\0 \t\r\n@%/\\#?:;,<>[]'\"`|*~!$&()+={}^\x7f\x80é。\u2024"), st.data())
def test_one_foreign_character_anywhere_makes_it_no_host(name: str, character: str, data: st.DataObject) -> None:
    """N4: NUL, user information, percent-encoding, spaces, separators, full-width dots."""
    at = data.draw(st.integers(0, len(name)))
    with pytest.raises(HostError):
        parse_host(name[:at] + character + name[at:])


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a..",
        "-a.test",
        "a-.test",
        "a" * 64 + ".test",
        ".".join(["abc"] * 70),
        "xn--é.test",
    ],
)
def test_broken_labels_make_it_no_host(text: str) -> None:
    """N4: empty, overlong and hyphenated labels."""
    with pytest.raises(HostError):
        parse_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "0x7f.0.0.1", "0177.0.0.1", "127.1", "2130706433", "0x7f000001", "127.0.0.01", "1.2.3.4.5", "256.1.1.1",
        "127.0.0.0x1", "example.1", "a.0x", "1.2.3", "0", "0x",
    ],
)  # fmt: skip
def test_odd_forms_of_ipv4_are_refused(text: str) -> None:
    """N4, N10: decimal, octal, hexadecimal and short forms, which `inet_aton` would take for an address."""
    with pytest.raises(HostError):
        parse_host(text)


@given(st.text(alphabet="0123456789abcdefxX.", min_size=1, max_size=20))
def test_what_inet_aton_reads_is_a_plain_address_or_no_host(text: str) -> None:
    """N10: no text is a name to us and an address to the C library."""
    try:
        host = parse_host(text)
    except HostError:
        return
    try:
        packed = socket.inet_aton(host)
    except OSError:
        assert not is_literal(host)
        return
    assert ipaddress.IPv4Address(packed) == ipaddress.IPv4Address(host)


@given(st.ip_addresses(v=6))
def test_ipv6_has_one_spelling(address: ipaddress.IPv6Address) -> None:
    """N8: exploded or compressed, in any case; an IPv4-mapped one is the IPv4 address."""
    expected = str(address.ipv4_mapped or address)
    assert parse_host(f"[{address.exploded.upper()}]") == expected
    assert parse_host(f"[{address}]") == expected
    assert is_literal(expected)


@pytest.mark.parametrize("text", ["[::1", "::1]", "[fe80::1%eth0]", "[127.0.0.1]", "[]", "[[::1]]", "[::1].test"])
def test_brackets_hold_an_ipv6_address_and_nothing_else(text: str) -> None:
    """N4, N8: zones, IPv4 in brackets, nesting."""
    with pytest.raises(HostError):
        parse_host(text)


@given(NAMES, st.integers(1, 65535))
def test_an_authority_has_a_host_and_perhaps_a_port(name: str, port: int) -> None:
    """The port is read as a number, or is not there."""
    assert parse_authority(f"{name}:{port}") == Authority(name, port)
    assert parse_authority(name) == Authority(name, None)
    assert parse_place(f"{name}:{port}") == (name, port)


@pytest.mark.parametrize(
    "text",
    ["a.test:", "a.test:0", "a.test:065", "a.test:65536", "a.test:+80", "a.test:8 0", "a.test:80:80", "u@a.test:80",
     "a.test:٨٠", "http://a.test", "[::1]80", "::1:80"],
)  # fmt: skip
def test_odd_ports_make_it_no_authority(text: str) -> None:
    """N4: leading zeros, signs, other digits, user information, URLs."""
    with pytest.raises(HostError):
        parse_authority(text)


def test_a_place_needs_a_port() -> None:
    """`upstream.hosts` without a port is an error."""
    with pytest.raises(HostError):
        parse_place("10.0.0.1")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("*.Example.ORG.", "*.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_an_entry_of_the_allowlist_has_one_form(text: str, pattern: str) -> None:
    """International names become ASCII, addresses need no brackets."""
    assert parse_pattern(text) == pattern


@pytest.mark.parametrize("text", ["*", "*.", "a.*.test", "**.test", "*.10.0.0.1", "*.[::1]", "*test", "a.test/x"])
def test_a_wildcard_stands_alone_before_a_name(text: str) -> None:
    """N5: no other place for a star, and none before an address."""
    with pytest.raises(HostError):
        parse_pattern(text)
