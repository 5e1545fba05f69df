"""Host names in the one form in which they are compared, resolved and dialled."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

__all__ = ["Authority", "HostError", "is_literal", "parse_authority", "parse_host", "parse_pattern", "parse_place"]

LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[1-9][0-9]{0,4}))?")


class HostError(ValueError):
    """A text that is no host name, for a reason that its message names."""


class Authority(NamedTuple):
    """A canonical host, and a port if one was written."""

    host: str
    port: int | None


def parse_host(text: str) -> str:
    """Return the canonical form: lower case, no final dot, addresses as RFC 5952 writes them, no brackets.

    HostError for everything that two parsers could read in two ways: bytes outside ASCII, NUL, user
    information, percent-encoding, empty labels, and every form of IPv4 but four plain decimal numbers
    (a last label that is a number makes an address of it, as in the URL standard).
    """
    if text.startswith("["):
        return _parse_ipv6(text)
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if NUMBER.fullmatch(labels[-1]):
        return _parse_ipv4(name)
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - RFC 1035
        raise HostError("it is not a host name")
    return name


def _parse_ipv4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise HostError("an IPv4 address is written as four decimal numbers") from None


def _parse_ipv6(text: str) -> str:
    if "%" in text or not text.endswith("]"):  # a zone is for link-local addresses alone
        raise HostError("it is not an IPv6 address")
    try:
        address = IPv6Address(text[1:-1])
    except AddressValueError:
        raise HostError("it is not an IPv6 address") from None
    return str(address.ipv4_mapped or address)


def is_literal(host: str) -> bool:
    """Tell whether a canonical host is an address and not a name."""
    return ":" in host or NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def parse_authority(text: str) -> Authority:
    """Split `host`, `host:port` or `[address]:port`; HostError as for `parse_host`, and for a port above 65535."""
    found = AUTHORITY.fullmatch(text)
    if not found:
        raise HostError("it is not HOST or HOST:PORT")
    port = int(found["port"]) if found["port"] else None
    if port is not None and port > 65535:  # noqa: PLR2004 - the highest there is
        raise HostError("there is no such port")
    return Authority(parse_host(found["host"]), port)


def parse_place(text: str) -> tuple[str, int]:
    """Split `host:port` or `[address]:port`; HostError where there is no port, too."""
    host, port = parse_authority(text)
    if port is None:
        raise HostError("it has no port")
    return host, port


def parse_pattern(text: str) -> str:
    """Return the canonical form of an allowlist entry: a host, or `*.` and a name.

    International names are turned into their ASCII form here, and only here: on the wire they have it already.
    """
    wildcard, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        ascii_name = name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        raise HostError("write it in its ASCII form, xn--…") from None
    host = parse_host(f"[{ascii_name}]" if ":" in ascii_name and not ascii_name.startswith("[") else ascii_name)
    if wildcard and is_literal(host):
        raise HostError("a wildcard stands before a name, not before an address")
    return wildcard + host
