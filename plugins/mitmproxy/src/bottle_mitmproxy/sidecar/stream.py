"""mitmproxy's HTTP layers, with refusals that explain themselves and limits on what is held in memory."""

from collections.abc import Generator
from typing import Any, Protocol

from mitmproxy import http
from mitmproxy.net.http.validate import validate_headers
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import websocket
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    HttpLayer,
    HTTPMode,
    HttpStream,
    SendHttp,
)
from mitmproxy.proxy.layers.http._events import (
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Connection
from mitmproxy.proxy.layers.websocket import WebsocketConnection
from wsproto import events as ws_events

from bottle_mitmproxy.policy.requests import BODY_LIMIT
from bottle_mitmproxy.policy.scanner import find_credential
from bottle_mitmproxy.policy.vault import Vault

__all__ = ["Http", "Refused", "StreamGate", "check_websockets"]

HEAD_LIMIT = 256 << 10
"""Bytes of a message's head, and of what comes before it."""

FRAME = 1 << 10
"""Bytes that a frame of a WebSocket counts for beside its content: a million empty ones are work, too."""

CLOSED_EARLY = "server closed connection"
CLOSED = "it closed the connection before it answered"
UNREADABLE = "its answer is broken off, or is not HTTP"

Commands = layer.CommandGenerator[Any]


class StreamGate(Protocol):
    """Whoever words the answers that are given without an upstream."""

    def too_large(self, flow: http.HTTPFlow) -> http.Response:
        """Answer a request whose body has outgrown the limit."""
        ...

    def unreachable(self, flow: http.HTTPFlow, error: str) -> http.Response:
        """Answer a request whose upstream cannot be reached."""
        ...

    def broken(self, flow: http.HTTPFlow, why: str) -> http.Response:
        """Answer a request whose upstream gave no answer that can be passed on."""
        ...


class Refused(layer.Layer):
    """The end of a connection: closes it and reads nothing."""

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.Start):
            yield commands.CloseConnection(self.context.client)


class Http(HttpLayer):
    """HTTP whose streams are ours, and whose heads have a limit."""

    def __init__(self, context: Context, mode: HTTPMode, gate: StreamGate) -> None:
        super().__init__(context, mode)
        self._gate = gate

    def make_stream(self, stream_id: int) -> Commands:
        """Make a stream of our kind."""
        stream = Stream(self.context.fork(), stream_id, self._gate)
        self.streams[stream_id] = stream
        yield from self.event_to_child(stream, events.Start())

    def _handle_event(self, event: events.Event) -> Commands:
        yield from super()._handle_event(event)
        if isinstance(event, events.DataReceived):
            connection = self.connections.get(event.connection)
            if isinstance(connection, Http1Connection) and self._is_no_head(connection):
                yield commands.CloseConnection(event.connection)

    @staticmethod
    def _is_no_head(connection: Http1Connection) -> bool:
        if connection.state != connection.read_headers or not connection.buf:  # pyright: ignore[reportUnknownMemberType] - half typed
            return False
        # A head begins with a method or a version: SOCKS, TLS and noise would be waited for in vain.
        return len(connection.buf) > HEAD_LIMIT or not bytes(connection.buf)[:1].strip(b"\r\n").isupper()


class Stream(HttpStream):
    """One request and its response."""

    def __init__(self, context: Context, stream_id: int, gate: StreamGate) -> None:
        super().__init__(context, stream_id)
        self._gate = gate

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:  # noqa: FBT001 - mitmproxy's signature
        """Refuse a request that has become too large; drop what comes behind a refusal. Responses are streamed."""
        if request and self.flow.response:
            self.request_body_buf.clear()
        elif request and len(self.request_body_buf) > BODY_LIMIT:
            self.request_body_buf.clear()
            yield from self._answer(self._gate.too_large(self.flow))
            return True
        return False

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        """Get a connection, or say in plain words why there is none."""
        server = self.flow.server_conn
        connection, error = yield GetHttpConnection(
            (self.flow.request.host, self.flow.request.port),
            self.flow.request.scheme == "https",
            server.via,
            server.transport_protocol,
        )
        if error:
            yield from self._answer(self._gate.unreachable(self.flow, error))
            return False
        self.context.server = self.flow.server_conn = connection
        return True

    def check_invalid(self, request: bool) -> layer.CommandGenerator[bool]:  # noqa: FBT001 - mitmproxy's signature
        """Refuse an answer with a head that could be read in two ways."""
        if not request and self.flow.response and not _is_clear(self.flow.response):
            yield commands.CloseConnection(self.flow.server_conn)
            yield from self._answer(self._gate.broken(self.flow, UNREADABLE))
            return True
        return (yield from super().check_invalid(request))

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> Commands:
        """Say in our own words what is wrong with an answer: mitmproxy's repeat what the upstream sent."""
        if isinstance(event, ResponseProtocolError):
            why = CLOSED if event.message == CLOSED_EARLY else UNREADABLE
            if self.flow.response is None and not self._is_over():
                yield from self._answer(self._gate.broken(self.flow, why))
                return
            event = ResponseProtocolError(event.stream_id, why, event.code)
        yield from super().handle_protocol_error(event)

    def _is_over(self) -> bool:
        return self.client_state == self.state_errored  # pyright: ignore[reportUnknownMemberType] - half typed

    def _answer(self, response: http.Response) -> Commands:
        self.flow.response = response
        self.flow.live = False
        client = self.context.client
        yield SendHttp(ResponseHeaders(self.stream_id, response, end_stream=False), client)
        yield SendHttp(ResponseData(self.stream_id, response.raw_content or b""), client)
        self.client_state = self.server_state = self.state_errored  # pyright: ignore[reportUnknownMemberType] - half typed
        yield DropStream(self.stream_id)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), client)


def _is_clear(response: http.Response) -> bool:
    try:
        validate_headers(response)
    except ValueError:
        return False
    return True


class CheckedWebsocket(WebsocketConnection):
    """One end of a WebSocket. mitmproxy shows messages to a hook; this is for what it does not show."""

    held = 0
    vault = Vault()

    def events(self) -> Generator[ws_events.Event, None, None]:
        """Yield what arrived, without control frames that carry a credential; ValueError for an endless message."""
        for event in super().events():
            if isinstance(event, ws_events.TextMessage | ws_events.BytesMessage):
                self._hold(event)
            if isinstance(event, ws_events.Ping | ws_events.Pong) and self._carries(bytes(event.payload)):
                continue
            if isinstance(event, ws_events.CloseConnection) and self._carries((event.reason or "").encode()):
                yield ws_events.CloseConnection(code=event.code)
                continue
            yield event

    def _carries(self, data: bytes) -> bool:
        return bool(find_credential(data) or self.vault.find(data))

    def _hold(self, event: ws_events.TextMessage | ws_events.BytesMessage) -> None:
        """Count what is held until the message ends: a frame costs more than its bytes."""
        self.held += len(event.data) + FRAME
        if self.held > BODY_LIMIT:
            raise ValueError("the WebSocket message is too large")
        if event.message_finished:
            self.held = 0


def check_websockets(vault: Vault) -> None:
    """Have mitmproxy use `CheckedWebsocket`. Idempotent."""
    CheckedWebsocket.vault = vault
    websocket.WebsocketConnection = CheckedWebsocket
