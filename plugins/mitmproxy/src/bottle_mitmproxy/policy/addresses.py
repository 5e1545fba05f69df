"""Which addresses a name may resolve to: the public Internet, and what the manifest lists."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["Network", "parse_networks", "why_refused"]

Network = IPv4Network | IPv6Network

# IANA's special-purpose registries, spelled out: `ipaddress.is_global` differs between Python's patch releases.
SPECIAL = {
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    "loopback": ("127.0.0.0/8", "::1/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "shared (carrier NAT)": ("100.64.0.0/10",),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "reserved": (
        "0.0.0.0/8",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
    ),
    "metadata": ("169.254.169.254/32", "168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::254/128"),
    "IPv4-mapped": ("::ffff:0:0/96",),
    "6to4": ("2002::/16",),
    "Teredo": ("2001::/32",),
}
KINDS: tuple[tuple[Network, str], ...] = tuple(
    sorted(
        ((ip_network(text), kind) for kind, texts in SPECIAL.items() for text in texts),
        key=lambda entry: -entry[0].prefixlen,  # the narrowest network names the kind
    )
)
GLOBAL_IPV6 = IPv6Network("2000::/3")
DOCUMENTATION_IPV6 = (IPv6Network("2001:db8::/32"), IPv6Network("3fff::/20"), IPv6Network("2001::/23"))
NAT64 = IPv6Network("64:ff9b::/96")


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return CIDRs as networks; ValueError for what is none."""
    return tuple(ip_network(text, strict=False) for text in texts)


def why_refused(text: str, allowed: Iterable[Network]) -> str | None:
    """Return what kind of address this is if it must not be dialled, None if it may.

    Behind the NAT64 prefix the IPv4 address counts, or machines with IPv6 alone could reach nothing.
    """
    address = ip_address(text.partition("%")[0])
    if any(address in network for network in allowed):
        return None
    if address in NAT64 and isinstance(address, IPv6Address):
        return _kind(IPv4Address(address.packed[-4:]))
    return _kind(address)


def _kind(address: IPv4Address | IPv6Address) -> str | None:
    for network, kind in KINDS:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and (
        address not in GLOBAL_IPV6 or any(address in network for network in DOCUMENTATION_IPV6)
    ):
        return "reserved"
    return None
