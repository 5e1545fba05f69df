"""The policy: most specific rule, ports, names that must agree, addresses, and the words of a refusal."""

import ast
import ipaddress
from pathlib import Path

import pytest
from egress_harness import rule
from hypothesis import assume, given
from hypothesis import strategies as st

import bottle_mitmproxy.policy
from bottle_mitmproxy.policy.addresses import parse_networks, why_refused
from bottle_mitmproxy.policy.decision import explain
from bottle_mitmproxy.policy.policy import Policy

LABELS = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
NAMES = st.lists(LABELS, min_size=2, max_size=4).map(".".join)


def test_the_policy_knows_no_proxy_and_no_cryptography() -> None:
    """Decisions are pure: what decides can be read and tested without what carries it out."""
    allowed = {"re", "typing", "collections", "itertools", "ipaddress", "urllib", "msgspec", "claude_bottle"}
    allowed |= {
        "bisect",
        "bottle_mitmproxy",
        "base64",
        "binascii",
        "contextlib",
        "json",
        "zlib",
    }  # encodings, to be undone
    for path in Path(next(iter(bottle_mitmproxy.policy.__path__))).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in allowed, f"{path.name} imports {name}"
                assert "sidecar" not in name, f"{path.name} imports {name}"


@given(NAMES)
def test_a_host_that_nobody_named_is_refused(name: str) -> None:
    """S5: default deny, at any port."""
    assert not Policy([]).connect(f"{name}:443").allowed
    assert not Policy([rule(f"x{name}")]).connect(f"{name}:443").allowed


@given(NAMES, LABELS)
def test_an_exact_rule_opens_neither_sub_domains_nor_the_domain_above(name: str, label: str) -> None:
    """N5: exact is exact."""
    policy = Policy([rule(name)])
    assert policy.connect(f"{name}:443").allowed
    assert not policy.connect(f"{label}.{name}:443").allowed
    assert not policy.connect(f"{name.partition('.')[2]}:443").allowed


@given(NAMES, st.lists(LABELS, min_size=1, max_size=4), LABELS)
def test_a_wildcard_holds_below_its_name_at_any_depth_and_never_for_it(name: str, below: list[str], glued: str) -> None:
    """N5: `*.x` matches `a.b.x`, and neither `x` nor `evilx`."""
    policy = Policy([rule(f"*.{name}")])
    assert policy.connect(f"{'.'.join(below)}.{name}:443").allowed
    assert not policy.connect(f"{name}:443").allowed
    assert not policy.connect(f"{glued}{name}:443").allowed
    assert not policy.connect(f"{name}.not-{glued}:443").allowed


def test_the_most_specific_rule_decides_on_the_level() -> None:
    """Exact before wildcard, longer wildcard before shorter."""
    policy = Policy([rule("*.x.test"), rule("*.y.x.test", "warn"), rule("z.y.x.test", "opaque")])
    levels = {host: policy.connect(f"{host}:443").level for host in ("a.x.test", "a.y.x.test", "z.y.x.test")}
    assert levels == {"a.x.test": "block", "a.y.x.test": "warn", "z.y.x.test": "opaque"}


def test_plain_http_is_never_opaque() -> None:
    """A suggestion of `opaque` concerns opened TLS alone."""
    decision = Policy([rule("x.test", "opaque")]).target("x.test", 80, plain=True)
    assert decision.level == "block"


@given(st.integers(1, 65535))
def test_only_listed_ports_are_open(port: int) -> None:
    """The ports of the rule, and those on which raw bytes may pass."""
    policy = Policy([rule("x.test", ports=(80, 443, 8443), raw=(22,))])
    decision = policy.connect(f"x.test:{port}")
    assert decision.allowed == (port in {22, 80, 443, 8443})
    assert decision.raw == (port == 22)
    if not decision.allowed:
        assert decision.rule == "port"
        assert f"x.test:{port}" in decision.fix


@pytest.mark.parametrize("authority", ["x.test", "x.test:0", "x.test\0.evil.test:443", "u@x.test:443", "x.test%00:443"])
def test_a_target_that_cannot_be_read_is_refused(authority: str) -> None:
    """N4: with 400, and a text that is printable whatever was sent."""
    decision = Policy([rule("x.test")]).connect(authority)
    assert (decision.allowed, decision.status, decision.rule) == (False, 400, "host")
    assert explain(decision).replace("\n", "").isprintable()


@pytest.mark.parametrize("name", ["X.test.", "x.test", "x.test:443", None])
def test_a_name_that_means_the_same_agrees(name: str | None) -> None:
    """Case, final dot and the connection's own port are no difference; no name is none."""
    assert Policy([]).agree("SNI", name, "x.test", 443) is None


@pytest.mark.parametrize(("name", "status"), [("y.test", 421), ("x.test:80", 421), ("x.test\0", 400), ("", 400)])
def test_another_name_is_misdirected(name: str, status: int) -> None:
    """N6: 421 for another host or port, 400 for what is no name."""
    decision = Policy([]).agree("Host header", name, "x.test", 443)
    assert decision is not None
    assert decision.status == status


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "169.254.1.1",
        "100.64.0.1", "100.100.100.200", "168.63.129.16", "0.0.0.0", "192.0.0.192", "198.18.0.1", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:10.0.0.1",
        "::ffff:8.8.8.8", "::127.0.0.1", "2002:7f00:1::", "2001::1", "2001:db8::1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "3fff::1", "5f00::1", "fec0::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_internet_is_refused(address: str) -> None:
    """N10: private, loopback, link-local, metadata, mapped, translated, reserved."""
    assert why_refused(address, ()) is not None


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_an_address_of_the_internet_may_be_dialled(address: str) -> None:
    """Behind NAT64 the IPv4 address counts."""
    assert why_refused(address, ()) is None


@given(st.ip_addresses())
def test_what_python_calls_private_is_refused(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """N10: our table is at least as strict as the standard library's."""
    if address.is_private or address.is_multicast or address.is_link_local or address.is_loopback:
        assert why_refused(str(address), ()) is not None


@given(st.ip_addresses(), st.integers(8, 128))
def test_a_listed_network_may_be_dialled(address: ipaddress.IPv4Address | ipaddress.IPv6Address, bits: int) -> None:
    """`private_addresses` opens what it lists and nothing beside it."""
    assume(bits <= address.max_prefixlen)
    network = ipaddress.ip_network((address, bits), strict=False)
    assert why_refused(str(address), parse_networks([str(network)])) is None
    outside = "10.0.0.1" if address.version == 6 or ipaddress.IPv4Address("10.0.0.1") not in network else "192.168.0.1"
    if address.version == 6 or ipaddress.IPv4Address(outside) not in network:
        assert why_refused(outside, parse_networks([str(network)])) is not None


def test_a_literal_is_judged_at_connect() -> None:
    """N10: an address in the allowlist is refused unless it is public or listed."""
    rules = [rule("10.0.0.5"), rule("1.1.1.1"), rule("::1")]
    assert Policy(rules).connect("1.1.1.1:443").allowed
    assert Policy(rules).connect("10.0.0.5:443").rule == "address"
    assert Policy(rules).connect("[::ffff:10.0.0.5]:443").rule == "address"
    assert Policy(rules).connect("[::1]:443").rule == "address"
    assert Policy(rules, parse_networks(["10.0.0.0/8"])).connect("10.0.0.5:443").allowed


def test_a_refusal_names_host_rule_and_the_line_that_would_allow_it() -> None:
    """Wish 14: the command for now, the manifest's line for always."""
    policy = Policy([rule("x.test")], name="reviewer")
    text = explain(policy.connect("example.com:443"))
    assert "host example.com is not in this bottle's egress allowlist" in text
    assert "rule: allowlist" in text
    assert "bottle allow reviewer example.com\n" in text
    assert 'egress.allowlist: ["example.com"]' in text
    assert "bottle allow reviewer x.test:8080\n" in explain(policy.connect("x.test:8080"))
    assert "bottle allow reviewer [2606:4700::1]:8080\n" in explain(policy.connect("[2606:4700::1]:8080"))


def test_a_credential_names_its_issuer_and_not_itself() -> None:
    """The fix for a false alarm is a level for this host."""
    decision = Policy([]).credential("x.test", 443, "a GitHub token", "body")
    assert "a GitHub token" in explain(decision)
    assert decision.line == 'egress.inspect: {"x.test": warn}'
