"""The one place where the process connects to anything: each address is judged as it is dialled."""

import asyncio
import socket
from contextvars import ContextVar
from typing import Any

from bottle_mitmproxy.policy.decision import Decision
from bottle_mitmproxy.policy.policy import Policy

__all__ = ["DIAL", "Dial", "GuardedLoop", "RefusedAddressError"]


class RefusedAddressError(OSError):
    """An address that must not be dialled."""


class Dial:
    """A connection that was decided on: its host and port, and where it leads if not to where the name resolves.

    `policy` None: every address will do, which holds for the host's own upstream proxy alone.
    """

    def __init__(self, host: str, port: int, policy: Policy | None, place: tuple[str, int] | None = None) -> None:
        self.host = host
        self.port = port
        self.policy = policy
        self.place = place
        self.refusal: Decision | None = None

    def check(self, address: str) -> None:
        """RefusedAddressError unless this address may be dialled."""
        self.refusal = self.policy.address(address, self.host, self.port) if self.policy else None
        if self.refusal:
            raise RefusedAddressError(self.refusal.reason)


DIAL: ContextVar[Dial | None] = ContextVar("dial", default=None)
"""What the current task may dial. A task without it dials nothing."""


class GuardedLoop(asyncio.SelectorEventLoop):
    """An event loop in which a name cannot be rebound between the check and the connection."""

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        """Resolve, or answer with the place that the user's configuration names."""
        dial = DIAL.get()
        if dial and dial.place and host == dial.host:
            host, port = dial.place
        return await super().getaddrinfo(host, port, **hints)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect to an address that was resolved, if it may be dialled."""
        dial = DIAL.get()
        if dial is None:
            raise RefusedAddressError("no connection was decided on")
        dial.check(address[0])
        await super().sock_connect(sock, address)
