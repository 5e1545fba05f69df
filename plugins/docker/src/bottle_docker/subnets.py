"""Small subnets for a bottle's networks: the engine's own pools end at about thirty networks."""

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, ip_network
from pathlib import Path

__all__ = ["PREFIX", "free_subnets", "host_routes", "networks_of", "routes_of"]

PREFIX = 29
"""Of a subnet: a gateway, the proxy, the agent, and room for no stranger."""

ROUTES = Path("/proc/net/route")


def free_subnets(pool: IPv4Network, taken: Iterable[IPv4Network]) -> Iterator[IPv4Network]:
    """Yield every subnet of the pool that overlaps nothing in `taken`, once, from a random one on.

    Launches that begin at the same time so seldom want the same one.
    """
    known = [network for network in taken if network.overlaps(pool)]
    size = 1 << (32 - PREFIX)
    count = pool.num_addresses // size
    start = int.from_bytes(os.urandom(4)) % count if count else 0
    first = int(pool.network_address)
    for step in range(count):
        subnet = IPv4Network((first + (start + step) % count * size, PREFIX))
        if not any(subnet.overlaps(network) for network in known):
            yield subnet


def host_routes(table: Path = ROUTES) -> Iterator[IPv4Network]:
    """Yield the networks that this machine has routes to, but for the default route; nothing without a table."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    yield from routes_of(lines)


def routes_of(lines: Iterable[str]) -> Iterator[IPv4Network]:
    """Yield the networks in lines of the kernel's table of routes, but for the default route."""
    for line in lines:
        _, destination, _, _, _, _, _, mask, *_ = line.split()
        address, netmask = (socket.inet_ntoa(struct.pack("=I", int(text, 16))) for text in (destination, mask))
        network = IPv4Network(f"{address}/{netmask}", strict=False)
        if network.prefixlen:
            yield network


def networks_of(subnets: Iterable[str]) -> Iterator[IPv4Network]:
    """Yield those of the engine's subnets that are IPv4."""
    for text in subnets:
        network = ip_network(text, strict=False)
        if isinstance(network, IPv4Network):
            yield network
