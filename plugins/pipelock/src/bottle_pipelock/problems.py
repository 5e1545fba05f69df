"""What is wrong with a launch before it begins, as far as pipelock is concerned."""

from collections.abc import Iterator
from ipaddress import ip_network

from bottle_pipelock.levels import too_strict
from bottle_pipelock.section import PipelockSection, bytes_of
from claude_bottle.errors import Problem
from claude_bottle.plan.spec import BottleSpec

__all__ = ["find_problems"]

PORTS = {"443", "80"}


def find_problems(spec: BottleSpec) -> Iterator[Problem]:
    """Yield every problem; hosts of the allowlist are core's own to check."""
    where = f"bottles.{spec.bottle}"
    try:
        bytes_of(spec.section(PipelockSection).memory)
    except ValueError as error:
        yield Problem(str(error), where=f"{where}.pipelock.memory")
    for host in too_strict(dict(spec.egress.inspect), spec.egress.dlp_action):
        yield Problem(
            f"pipelock has one action for all hosts that it opens, and cannot block for {host} alone",
            "set dlp_action: block, or choose another proxy with --proxy mitmproxy",
            f"{where}.egress.inspect",
        )
    for text in spec.egress.private_addresses:
        try:
            network = ip_network(text)
        except ValueError as error:
            yield Problem(
                f"{text!r} is no CIDR: {error}", "write it like 10.0.0.0/8", f"{where}.egress.private_addresses"
            )
        else:
            if network.prefixlen == 0:
                hint = "name the networks that are meant"
                yield Problem(f"pipelock takes no {text}", hint, f"{where}.egress.private_addresses")
    for name, place in spec.upstream.hosts:
        if place.rpartition(":")[2] not in PORTS:
            hint = "let it listen at 443 (TLS) or 80, or choose another proxy with --proxy mitmproxy"
            yield Problem(f"upstream.hosts: {name}: {place}: pipelock dials the port that is asked for", hint)
    if spec.upstream.proxy:
        hint = "unset HTTPS_PROXY, or choose another proxy with --proxy mitmproxy"
        yield Problem("pipelock cannot go through the host's own upstream proxy", hint)
