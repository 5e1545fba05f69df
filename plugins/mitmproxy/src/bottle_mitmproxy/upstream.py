"""The host's own upstream proxy, as its URL names it, and what of the host no container reaches."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from bottle_mitmproxy.policy.hosts import HostError, parse_place

__all__ = ["UpstreamError", "is_own", "parse_proxy"]


class UpstreamError(ValueError):
    """A proxy that cannot be chained, for a reason that its message names."""


def parse_proxy(url: str) -> str:
    """Return `HOST:PORT` of an HTTP proxy without a password; UpstreamError for any other.

    A password is refused because it would have to lie in the proxy's file for as long as the bottle runs.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http":
        raise UpstreamError(f"an upstream proxy is spoken to in HTTP, not {parts.scheme.upper()}")
    if parts.username or parts.password:
        raise UpstreamError("an upstream proxy with a password cannot be chained")
    try:
        port = parts.port or 80
    except ValueError as error:
        raise UpstreamError("the upstream proxy's port is none") from error
    if not parts.hostname:
        raise UpstreamError("the upstream proxy has no host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = f"{host}:{port}"
    try:
        parse_place(place)
    except HostError as error:
        raise UpstreamError(f"the upstream proxy {place}: {error}") from error
    return place


def is_own(place: str) -> bool:
    """Return whether `HOST:PORT` is on the loopback of whoever dials it."""
    host, _ = parse_place(place)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
