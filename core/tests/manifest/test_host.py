"""Host patterns: the one strict reading of what may stand in an allowlist."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.errors import BottleError
from claude_bottle.manifest.host import HostPattern, canonical_host, exact_host, parse_host

LABELS = st.from_regex(r"[a-z_]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=5).map(".".join)
PORTS = st.none() | st.integers(1, 65535)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("api.example.com", HostPattern("api.example.com")),
        ("API.Example.COM", HostPattern("api.example.com")),
        ("*.example.org", HostPattern("example.org", wildcard=True)),
        ("example.org:8443", HostPattern("example.org", port=8443)),
        ("*.example.org:8443", HostPattern("example.org", wildcard=True, port=8443)),
        ("192.0.2.1", HostPattern("192.0.2.1")),
        ("192.0.2.1:22", HostPattern("192.0.2.1", port=22)),
        ("2001:DB8:0::1", HostPattern("2001:db8::1")),
        ("[2001:db8::1]", HostPattern("2001:db8::1")),
        ("[2001:db8::1]:443", HostPattern("2001:db8::1", port=443)),
        ("xn--bcher-kva.example", HostPattern("xn--bcher-kva.example")),
        ("my_bucket.example.com", HostPattern("my_bucket.example.com")),
        ("localhost", HostPattern("localhost")),
    ],
)
def test_each_form_has_one_reading(text: str, pattern: HostPattern) -> None:
    """Names, wildcards, addresses and ports are read in lower case and in their shortest form."""
    assert parse_host(text) == pattern


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "*.",
        "**.example.com",
        "*.*.example.com",
        "a.*.example.com",
        "a*.example.com",
        "*example.com",
        "*.192.0.2.1",
        ".example.com",
        "a..b",
        "example.com.",
        "example.com.:443",
        "*.example.com.",
        "-a.example.com",
        "a-.example.com",
        "a" * 64 + ".com",
        ".".join(["abcdefgh"] * 30),
        "https://example.com",
        "example.com/path",
        "user@example.com",
        "user:pw@example.com",
        "ex%61mple.com",
        "example.com%00.evil.com",
        "example.com\0.evil.com",
        "example.com\n",
        " example.com",
        "exa mple.com",
        "example.com\t",
        "example\u3002com",
        "\u0435xample.com",
        "bücher.example",
        "example.com\u200b",
        "example.com:",
        "example.com:0",
        "example.com:65536",
        "example.com:080",
        "example.com:+80",
        "example.com:\u0661",
        "example.com:8 0",
        "example.com:80:80",
        "127.1",
        "127.0.0.01",
        "0177.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "127.0.0.0x1",
        "0x",
        "1.2.3.4.5",
        "256.1.1.1",
        "foo.1",
        "::ffff:127.0.0.1",
        "[::ffff:7f00:1]:80",
        "fe80::1%eth0",
        "[::1",
        "::1]",
        "[::1]443",
        "[::1]:",
        "[example.com]",
        "[192.0.2.1]",
        "a,b",
        "a;b",
        "a\\b",
        "a#b",
        "a?b",
        "$(id).example.com",
    ],
)
def test_hostile_names_are_refused(text: str) -> None:
    """N4, N5, N10: what two programs could read differently is no host at all."""
    with pytest.raises(BottleError):
        parse_host(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("bücher.example", 'if "xn--bcher-kva.example" is what you mean, write that'),
        ("https://api.example.com/v1", "write the host alone, as in api.example.com"),
        ("example.com.", "remove the trailing dot"),
        ("::ffff:192.0.2.1", "write 192.0.2.1"),
        ("*x.example.com", "write *.example.com"),
        ("\u2026", "write it in its ASCII form, which begins with xn--"),
    ],
)
def test_a_refusal_says_what_to_write(text: str, hint: str) -> None:
    """The usual slips have their cure; an international name is shown as what it really is."""
    with pytest.raises(BottleError) as caught:
        parse_host(text)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("user@example.com", "user information cannot stand here"),
        ("example.com/x", "a path cannot stand here"),
        ("ex%61mple.com", "a percent sign cannot stand here"),
        ("example.com\0.evil.com", "white space or a control character in a host"),
        ("exa mple.com", "white space or a control character in a host"),
        ("-a.com", "not a host name"),
        ("", "a host is missing"),
    ],
)
def test_a_refusal_names_its_reason(text: str, reason: str) -> None:
    """Each kind of hostile text is told apart, before anything else is made of it."""
    with pytest.raises(BottleError) as caught:
        parse_host(text)
    assert caught.value.message.endswith(f": {reason}")


def test_a_refusal_shows_hostile_text_harmlessly() -> None:
    """A name that would move the cursor or turn the line around is shown as escapes."""
    with pytest.raises(BottleError) as caught:
        parse_host("evil\x1b[2J\u202ecom")
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()


@given(NAMES, st.booleans(), PORTS)
def test_the_one_form_reads_as_itself(name: str, wildcard: bool, port: int | None) -> None:
    """Writing a pattern and reading it again is the identity, in any case of letters."""
    pattern = HostPattern(name, wildcard, port)
    assert parse_host(str(pattern)) == pattern
    assert parse_host(str(pattern).upper()) == pattern
    assert canonical_host(canonical_host(str(pattern))) == str(pattern)


@given(st.ip_addresses(), PORTS)
def test_addresses_read_as_themselves(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int | None) -> None:
    """Every address but IPv4 mapped into IPv6 has one form, with and without a port."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return
    pattern = HostPattern(str(address), port=port)
    assert parse_host(str(pattern)) == pattern


@given(st.text(max_size=40) | st.text(alphabet="a1.:*[]%@/-_x0", max_size=20))
def test_whatever_passes_is_plain(text: str) -> None:
    """What is accepted consists of harmless characters, and its form is stable; all else is BottleError."""
    try:
        pattern = parse_host(text)
    except BottleError:
        return
    assert set(pattern.host) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-:")
    assert parse_host(str(pattern)) == pattern


@pytest.mark.parametrize("text", ["*.example.com", "example.com:22"])
def test_an_exact_host_is_no_pattern(text: str) -> None:
    """Where one host must stand, a wildcard and a port are refused."""
    with pytest.raises(BottleError):
        exact_host(text)


def test_an_exact_host_is_in_its_one_form() -> None:
    """Brackets and capitals go."""
    assert exact_host("[2001:DB8::1]") == "2001:db8::1"
    assert exact_host("GitHub.com") == "github.com"
