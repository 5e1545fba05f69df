"""Small subnets: none that is taken, none twice, and enough of them."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottle_docker.networks import Segment, isolation
from bottle_docker.section import DockerSection, section_problems
from bottle_docker.subnets import PREFIX, free_subnets, host_routes, networks_of

POOL = IPv4Network("10.213.0.0/16")
TAKEN = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(4, 32)).map(lambda it: IPv4Network(it, strict=False)))


def test_a_hundred_bottles_fit() -> None:
    """The engine's own pools end at thirty networks; each bottle needs two."""
    found = list(free_subnets(POOL, ()))
    assert len(found) == len(set(found)) == 8192
    assert all(subnet.subnet_of(POOL) and subnet.prefixlen == PREFIX for subnet in found)


@given(TAKEN, st.sampled_from(["10.213.0.0/24", "192.168.7.0/26", "172.30.0.0/28"]))
def test_nothing_that_is_taken_is_offered(taken: list[IPv4Network], pool: str) -> None:
    """Exactly the subnets that overlap nothing, from wherever the search begins."""
    whole = IPv4Network(pool)
    free = {subnet for subnet in whole.subnets(new_prefix=PREFIX) if not any(map(subnet.overlaps, taken))}
    assert set(free_subnets(whole, taken)) == free


def test_the_routes_of_this_machine_are_read(tmp_path: Path) -> None:
    """As the kernel writes them; the default route leads everywhere and takes nothing."""
    table = tmp_path / "route"
    table.write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    assert list(host_routes(table)) == [IPv4Network("192.168.0.0/24")]
    assert list(host_routes(tmp_path / "none")) == []


def test_subnets_of_the_other_family_are_passed_over() -> None:
    """An engine's network may have both."""
    assert list(networks_of(["172.17.0.0/16", "fd00::/64"])) == [IPv4Network("172.17.0.0/16")]


def test_who_is_where() -> None:
    """A gateway, the proxy and the agent."""
    segment = Segment("id", IPv4Network("10.213.4.8/29"))
    assert (segment.gateway, segment.proxy, segment.agent) == ("10.213.4.9", "10.213.4.10", "10.213.4.11")


def test_the_inner_network_has_no_address_of_the_host() -> None:
    """N2: an internal network alone has one; newer engines have a word for leaving it out."""
    assert isolation((1, 41)) == {"com.docker.network.bridge.inhibit_ipv4": "true"}
    assert isolation((1, 48)) == {"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("memory", "4 GB"),
        ("memory", "1k"),
        ("tmp", ""),
        ("cpus", 0.0),
        ("processes", 1),
        ("image", " "),
        ("subnets", "10.0.0.0/8x"),
        ("subnets", "10.0.0.0/29"),
        ("subnets", "8.8.0.0/16"),
        ("subnets", "10.0.0.1/16"),
    ],
)
def test_each_value_that_cannot_be_used_is_named(key: str, value: object) -> None:
    """With its key, so that it is found in the manifest."""
    assert [name for name, _ in section_problems(DockerSection(**{key: value}))] == [key]  # pyright: ignore[reportArgumentType]
    assert section_problems(DockerSection()) == []
