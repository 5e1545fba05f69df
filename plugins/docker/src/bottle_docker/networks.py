"""A bottle's two networks: one without a way out, on which the agent is alone with the proxy, and the proxy's own."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from typing import NamedTuple

from bottle_docker.engine import Engine
from bottle_docker.subnets import free_subnets, networks_of
from claude_bottle.errors import BottleError, LaunchError, NameTakenError
from claude_bottle.seam.names import candidates, taken_message

__all__ = ["Segment", "isolation", "make_network"]

ISOLATED_SINCE = (1, 48)
BRIDGE = "com.docker.network.bridge"


class Segment(NamedTuple):
    """A network that was made."""

    network: str
    subnet: IPv4Network

    @property
    def gateway(self) -> str:
        """The first address: the host's own, where the host is on this network at all."""
        return str(self.subnet[1])

    @property
    def proxy(self) -> str:
        """The proxy's address."""
        return str(self.subnet[2])

    @property
    def agent(self) -> str:
        """The agent's address."""
        return str(self.subnet[3])


def isolation(api: tuple[int, ...]) -> Mapping[str, str]:
    """Return the options by which a network has no address of the host: an internal network alone has one."""
    if api >= ISOLATED_SINCE:
        return {f"{BRIDGE}.gateway_mode_ipv4": "isolated"}
    return {f"{BRIDGE}.inhibit_ipv4": "true"}


def make_network(
    engine: Engine,
    base: str,
    pool: IPv4Network,
    options: Mapping[str, str],
    labels: Mapping[str, str],
    routes: Iterable[IPv4Network] = (),
) -> Segment:
    """Make a network under the first name and on the first subnet that are free; LaunchError if none is.

    `routes` are what the engine's host has beside its networks. Another launch may take either name or subnet
    between the look and the create, so the engine's own word decides; a name it gives to two is given back, since no
    container can join either of them.
    """
    found = engine.networks()
    taken = [*networks_of(subnet for network in found for subnet in network.subnets), *routes]
    used = {network.name for network in found}
    names = (name for name in candidates(base) if name not in used)
    name = next(names, None)
    for subnet in free_subnets(pool, taken):
        while name is not None:
            try:
                made = engine.create_network(name, str(subnet), options, labels)
                if sum(network.name == name for network in engine.networks()) == 1:
                    return Segment(made, subnet)
                engine.remove_network(made)  # another user's launch took the name in the same moment
                name = next(names, None)
            except NameTakenError:
                name = next(names, None)
            except BottleError as error:
                if "overlap" not in error.message.lower():
                    raise
                break
        if name is None:
            raise LaunchError(taken_message(base), "stop one of them, or run `bottle cleanup`")
    hint = "run `bottle cleanup`, or choose another range in the manifest: docker: {subnets: 10.99.0.0/16}"
    raise LaunchError(f"no subnet of {pool} is free for a bottle's network", hint)
