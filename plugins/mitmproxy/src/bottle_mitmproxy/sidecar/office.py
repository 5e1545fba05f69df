"""What all connections of the proxy share: the policy of the moment, TLS, and where events go."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Protocol

from mitmproxy.options import Options

from bottle_mitmproxy.policy.addresses import parse_networks
from bottle_mitmproxy.policy.decision import Decision
from bottle_mitmproxy.policy.hosts import HostError, is_literal, parse_host, parse_place
from bottle_mitmproxy.policy.policy import Policy
from bottle_mitmproxy.policy.vault import Vault
from bottle_mitmproxy.settings import Settings, SettingsError
from bottle_mitmproxy.sidecar.dial import DIAL, Dial
from bottle_mitmproxy.sidecar.tls import Tls
from claude_bottle.seam.event import Event

__all__ = ["Connection", "Office"]


class Connection(Protocol):
    """An open connection from the bottle."""

    def still_allowed(self, policy: Policy) -> bool:
        """Tell whether it would be let in under a policy just as it was."""
        ...

    def break_off(self) -> None:
        """Report what is under way on it, for it is about to end."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Reports(Protocol):
    """Where messages go."""

    def send(self, message: Mapping[str, object]) -> None:
        """Take a message, without waiting."""
        ...


class Office:
    """SettingsError from the constructor and from `apply` if something in the settings cannot be read."""

    def __init__(
        self, settings: Settings, options: Options, tls: Tls, reports: Reports, vault: Vault | None = None
    ) -> None:
        self.options = options
        self.tls = tls
        self.vault = vault or Vault()
        self.connections: set[Connection] = set()
        self._reports = reports
        self._take(settings)

    def apply(self, settings: Settings) -> None:
        """Put new settings in force, and close what they no longer allow."""
        self._take(settings)
        for connection in tuple(self.connections):
            if not connection.still_allowed(self.policy):
                connection.close()

    def break_off(self) -> None:
        """Report what is under way: the process is about to end."""
        for connection in tuple(self.connections):
            connection.break_off()

    def _take(self, settings: Settings) -> None:
        try:
            policy = Policy(settings.rules, parse_networks(settings.private_addresses), settings.name)
            places = {parse_host(name): parse_place(where) for name, where in settings.upstream_hosts}
            upstream_proxy = parse_place(settings.upstream_proxy) if settings.upstream_proxy else None
        except (HostError, ValueError) as error:
            raise SettingsError(str(error)) from error
        self.settings, self.policy = settings, policy
        self._places, self.upstream_proxy = places, upstream_proxy

    def dial(self, host: str, port: int) -> Dial:
        """Say how a host is dialled: through the policy, unless it is the host's own upstream proxy."""
        if self.upstream_proxy:
            return Dial(host, port, None if (host, port) == self.upstream_proxy else self.policy)
        return Dial(host, port, self.policy, self._places.get(host))

    async def behind_proxy(self, decision: Decision) -> Decision:
        """Refuse literals and names that are private here, where an upstream proxy resolves the name again."""
        if not self.upstream_proxy:
            return decision
        host, port = decision.host, decision.port
        if is_literal(host):
            return self.policy.refuse(host, port, 403, "address", "addresses cannot be used behind the upstream proxy")
        DIAL.set(None)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            return decision  # a name that only the upstream proxy knows
        refusals = (self.policy.address(str(address[0]), host, port) for *_, address in found)
        return next((refusal for refusal in refusals if refusal), decision)

    def report(self, event: Event) -> None:
        """Report an event of this bottle."""
        self._reports.send({"event": event})
