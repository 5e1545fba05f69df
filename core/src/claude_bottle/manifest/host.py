"""Host patterns: the strict form of a name, wildcard or address that a bottle may reach."""

import ipaddress
import re
from typing import NamedTuple

from claude_bottle.errors import BottleError
from claude_bottle.manifest.node import quote

__all__ = ["HostPattern", "canonical_host", "exact_host", "parse_host", "single_host"]

LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
LIKE_A_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
NUMBER = re.compile(r"[1-9][0-9]{0,4}")
LONGEST_NAME = 253
LAST_PORT = 65535


class HostPattern(NamedTuple):
    """A host as it may be allowed; its text is the one form in which it is compared.

    `host` is lower case, without the `*.` of a wildcard, an address in its shortest form without brackets.
    A wildcard stands for any depth below `host`, never for `host` itself.
    """

    host: str
    wildcard: bool = False
    port: int | None = None

    def __str__(self) -> str:
        if self.port is None:
            return f"*.{self.host}" if self.wildcard else self.host
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'*.' * self.wildcard}{host}:{self.port}"


def canonical_host(text: str) -> str:
    """Return a host pattern in its one form; BottleError as `parse_host`."""
    return str(parse_host(text))


def exact_host(text: str) -> str:
    """Return a name or address in its one form; BottleError also for a wildcard and for a port."""
    pattern = parse_host(text)
    if pattern.wildcard:
        raise BottleError(f"{quote(text)}: a wildcard cannot stand here", "name the host itself")
    if pattern.port is not None:
        raise BottleError(f"{quote(text)}: a port cannot stand here", "write the port as a key of its own")
    return pattern.host


def single_host(text: str) -> str:
    """Return a name or address with or without a port in its one form; BottleError also for a wildcard."""
    pattern = parse_host(text)
    if pattern.wildcard:
        raise BottleError(f"{quote(text)}: a wildcard cannot stand here", "name the one host")
    return str(pattern)


def parse_host(text: str) -> HostPattern:
    """Parse a name, `*.name`, an IPv4 or IPv6 address, each with or without `:port` (IPv6 then in brackets).

    BottleError for what programs read differently: a URL or part of one, user information, percent-encoding,
    a trailing dot, a NUL or white space, letters beyond ASCII, IPv4 in other forms than four decimal numbers,
    IPv4 mapped into IPv6, a zone, a `*` that is not the whole first label.
    """
    refuse_foreign(text)
    lowered = text.lower()
    if is_address6(lowered):
        return HostPattern(address6(lowered, text))
    host, port = split_port(lowered, text)
    if host.startswith("["):
        return HostPattern(address6(host[1:-1], text), port=port)
    wildcard = host.startswith("*.")
    name = host[2:] if wildcard else host
    check_name(name, text, wildcard=wildcard)
    return HostPattern(name, wildcard, port)


def refuse_foreign(text: str) -> None:
    """Refuse what no host pattern holds, with the cure that fits."""
    if not text.isascii():
        raise BottleError(f"{quote(text)}: only ASCII letters can stand in a host", punycode_hint(text))
    if "://" in text:
        raise BottleError(f"{quote(text)}: a URL, not a host", "write the host alone, as in api.example.com")
    for mark, what in (("/", "a path"), ("@", "user information"), ("%", "a percent sign")):
        if mark in text:
            raise BottleError(f"{quote(text)}: {what} cannot stand here", "write the host alone, as in api.example.com")
    if not text.isprintable() or " " in text:
        raise BottleError(f"{quote(text)}: white space or a control character in a host")


def punycode_hint(text: str) -> str:
    """Return the cure for an international name, with its ASCII form where Python has one."""
    try:
        ascii_form = canonical_host(text.encode("idna").decode("ascii"))
    except (UnicodeError, BottleError):
        return "write it in its ASCII form, which begins with xn--"
    return f"if {quote(ascii_form)} is what you mean, write that"


def is_address6(text: str) -> bool:
    """Whether text is an IPv6 address without brackets."""
    return text.count(":") > 1 and not text.startswith("[")


def address6(text: str, shown: str) -> str:
    """Return an IPv6 address in its shortest form."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise BottleError(f"{quote(shown)}: not an IPv6 address", "write it as ::1, or as [::1]:443") from None
    if address.ipv4_mapped:
        raise BottleError(f"{quote(shown)}: an IPv4 address in IPv6 clothes", f"write {address.ipv4_mapped}")
    return str(address)


def split_port(text: str, shown: str) -> tuple[str, int | None]:
    """Split off a port from 1 to 65535, written without zeros in front."""
    bracketed = text.startswith("[")
    host, closing, rest = text.partition("]") if bracketed else ("", "", "")
    if bracketed:
        host, colon, port = host + closing, rest[:1], rest[1:]
        if not closing or colon not in ("", ":"):
            raise BottleError(f"{quote(shown)}: not an IPv6 address", "write it as ::1, or as [::1]:443")
    else:
        host, colon, port = text.partition(":")
    if not colon:
        return host, None
    if not NUMBER.fullmatch(port) or int(port) > LAST_PORT:
        raise BottleError(f"{quote(shown)}: a port is a number from 1 to {LAST_PORT}")
    return host, int(port)


def check_name(name: str, shown: str, *, wildcard: bool) -> None:
    """Refuse a name that is none, or an address in a form that programs read differently."""
    labels = name.split(".")
    if not name:
        raise BottleError(f"{quote(shown)}: a host is missing")
    if name.endswith("."):
        raise BottleError(f"{quote(shown)}: a host ends without a dot", "remove the trailing dot")
    if "*" in name:
        raise BottleError(f"{quote(shown)}: * stands only for whole labels at the front", "write *.example.com")
    if LIKE_A_NUMBER.fullmatch(labels[-1]):
        check_address4(name, shown, wildcard=wildcard)
    if len(name) > LONGEST_NAME or not all(LABEL.fullmatch(label) for label in labels):
        raise BottleError(f"{quote(shown)}: not a host name")


def check_address4(name: str, shown: str, *, wildcard: bool) -> None:
    """Refuse what ends like an IPv4 address and is not four decimal numbers."""
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        raise BottleError(f"{quote(shown)}: not an IPv4 address", "write four numbers, as in 192.0.2.1") from None
    if wildcard:
        raise BottleError(f"{quote(shown)}: an address has nothing below it", "name the address itself")
