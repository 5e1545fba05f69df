"""What is wrong with a launch before it begins, as far as the proxy can tell."""

from collections.abc import Iterator
from pathlib import Path

from bottle_mitmproxy.policy.addresses import parse_networks
from bottle_mitmproxy.policy.hosts import HostError, parse_host, parse_place
from bottle_mitmproxy.upstream import UpstreamError, parse_proxy
from claude_bottle.errors import Problem
from claude_bottle.plan.spec import BottleSpec

__all__ = ["find_problems"]


def find_problems(spec: BottleSpec) -> Iterator[Problem]:
    """Yield every problem; hosts of the allowlist are core's own to check."""
    upstream = spec.upstream
    for text in spec.egress.private_addresses:
        try:
            parse_networks([text])
        except ValueError:
            yield Problem(f"egress.private_addresses: {text!r} is no CIDR", "write it like 10.0.0.0/8")
    for path in upstream.ca:
        if not Path(path).expanduser().is_file():
            yield Problem(f"upstream.ca: there is no file {path}", "name a PEM file with certificates")
    for name, place in upstream.hosts:
        try:
            parse_host(name)
            parse_place(place)
        except HostError as error:
            yield Problem(f"upstream.hosts: {name}: {place}: {error}", "write it like name: 10.0.0.5:443")
    if upstream.proxy:
        try:
            parse_proxy(upstream.proxy)
        except UpstreamError as error:
            yield Problem(str(error), "unset HTTPS_PROXY, or point it at a local proxy that knows the password")
