"""One connection from the bottle: mitmproxy's protocol engine, with every hook closed until it is answered."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from mitmproxy import http
from mitmproxy.proxy import commands
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server import LiveConnectionHandler
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.tls import TlsData

from bottle_mitmproxy.policy.policy import Policy
from bottle_mitmproxy.sidecar.answer import answer
from bottle_mitmproxy.sidecar.dial import DIAL
from bottle_mitmproxy.sidecar.gate import Gate, unreachable
from bottle_mitmproxy.sidecar.journal import Journal
from bottle_mitmproxy.sidecar.office import Office
from bottle_mitmproxy.sidecar.report import complain
from bottle_mitmproxy.sidecar.stream import Http
from bottle_mitmproxy.sidecar.tunnel import Tunnels

__all__ = ["Handler"]

IDLE = 3600
"""Seconds without a byte after which a connection ends."""

Hook = Callable[[Any], Awaitable[object] | None]

SILENT = (
    "client_connected",
    "client_disconnected",
    "http_connect_error",
    "http_connect_upstream",
    "http_connected",
    "server_connected",
    "server_disconnected",
    "tls_clienthello",
    "tls_established_client",
    "tls_established_server",
    "tls_failed_server",
    "websocket_end",
    "websocket_start",
)
"""Hooks that ask nothing."""


class Handler(LiveConnectionHandler):
    """A hook that fails, and one that is not known here, closes: nothing passes that was not decided on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, office: Office) -> None:
        super().__init__(reader, writer, office.options, ProxyMode.parse("regular"))
        self.timeout_watchdog.timeout = IDLE
        self._office = office
        self._journal = Journal(office)
        self._gate = gate = Gate(office, self._journal)
        self.layer = Http(self.layer.context, HTTPMode.regular, gate)
        hooks: dict[str, Hook] = {
            "error": gate.error,
            "http_connect": gate.http_connect,
            "next_layer": Tunnels(gate, self._journal, self.client).next_layer,
            "request": gate.request,
            "requestheaders": gate.requestheaders,
            "response": gate.response,
            "responseheaders": gate.responseheaders,
            "server_connect": self._server_connect,
            "server_connect_error": self._server_connect_error,
            "tls_failed_client": self._tls_failed_client,
            "tls_start_client": office.tls.tls_start_client,
            "tls_start_server": office.tls.tls_start_server,
            "websocket_message": self._websocket_message,
        }
        self._hooks = hooks | dict.fromkeys(SILENT, _nothing)

    async def handle_hook(self, hook: commands.StartHook) -> None:
        """Answer one of mitmproxy's questions."""
        with self.timeout_watchdog.disarm():
            (data,) = hook.args()
            try:
                answering = self._hooks[hook.name](data)
                if answering is not None:
                    await answering
            except Exception as error:  # noqa: BLE001 - whatever it was, nothing may pass because of it
                self._fail(hook.name, data, error)

    async def open_connection(self, command: commands.OpenConnection) -> None:
        """Dial, and close if that fails in a way that mitmproxy does not expect: the client would wait for ever."""
        try:
            await super().open_connection(command)
        except Exception as error:  # noqa: BLE001 - as above
            complain(f"a dial failed with {type(error).__name__}, the connection is closed")
            self.close()

    def log(self, message: str, level: int = logging.INFO, exc_info: Any = None) -> None:
        """Close when a protocol layer has crashed; say nothing of the rest, which would name hosts and paths."""
        del message, level
        if exc_info:
            complain("a protocol layer failed, its connection is closed")
            self.close()

    def still_allowed(self, policy: Policy) -> bool:
        """Tell whether this connection's tunnel and last request would be let in just like this under a policy."""
        tunnel, plain = self._gate.tunnel, self._gate.plain
        return (tunnel is None or policy.target(tunnel.host, tunnel.port) == tunnel) and (
            plain is None or policy.target(plain.host, plain.port, plain=True) == plain
        )

    def break_off(self) -> None:
        """Report the requests that are under way."""
        self._journal.break_off()

    def close(self) -> None:
        """Close the connection, and with it those to upstreams."""
        transport = self.transports.get(self.client)
        task = cast("asyncio.Task[None] | None", transport.handler) if transport else None  # pyright: ignore[reportUnknownMemberType] - an unparametrised Task
        if task:
            task.cancel("closed")

    def _fail(self, name: str, data: object, error: Exception) -> None:
        # The error's own text may hold what the agent sent.
        complain(f"{name} failed with {type(error).__name__}, the connection is closed")
        if isinstance(data, http.HTTPFlow) and data.response is None:
            host, port = data.request.host, data.request.port
            data.response = answer(self._gate.policy.refuse(host, port, 403, "internal", "it could not be decided on"))
        else:
            self.close()

    def _server_connect(self, data: ServerConnectionHookData) -> None:
        """Allow this task to dial, if the policy still says so."""
        address = data.server.address
        if address is None:
            data.server.error = "no address"
            return
        host, port = address[0], address[1]
        if (host, port) != self._office.upstream_proxy:
            decision = self._gate.policy.target(host, port)
            if not decision.allowed:
                data.server.error = decision.reason
                return
        DIAL.set(self._office.dial(host, port))

    def _server_connect_error(self, data: ServerConnectionHookData) -> None:
        """Keep the reason for whoever waits for the connection; of a tunnel that is not opened, report it."""
        dial, gate = DIAL.get(), self._gate
        if dial and dial.refusal:
            gate.dial_refusals[dial.host, dial.port] = dial.refusal
        if gate.tunnel and gate.relays:
            self._journal.tunnel(
                dial.refusal
                if dial and dial.refusal
                else unreachable(gate.policy, gate.tunnel.host, gate.tunnel.port, data.server.error or "")
            )

    def _tls_failed_client(self, data: TlsData) -> None:
        tunnel, error = self._gate.tunnel, data.conn.error or ""
        if tunnel and not error.startswith("connection closed"):
            reason = "the client broke off the TLS handshake: it may not trust this bottle's certificate authority"
            line = f'egress.inspect: {{"{tunnel.host}": opaque}}'
            self._journal.tunnel(self._gate.policy.refuse(tunnel.host, tunnel.port, 403, "tls", reason, line=line))

    async def _websocket_message(self, flow: http.HTTPFlow) -> None:
        if not await self._gate.websocket_message(flow):
            self.close()


def _nothing(_data: object) -> None:
    return None
