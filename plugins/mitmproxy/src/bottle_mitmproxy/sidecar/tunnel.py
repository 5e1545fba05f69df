"""What happens inside a tunnel: TLS that is opened, TLS that is not, HTTP, and raw bytes where a rule allows them."""

from mitmproxy.connection import Client
from mitmproxy.proxy import layer, layers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy
from mitmproxy.proxy.layers.tls import parse_client_hello
from mitmproxy.tls import ClientHello

from bottle_mitmproxy.policy.decision import Decision, Rule
from bottle_mitmproxy.policy.head import content_of
from bottle_mitmproxy.policy.hosts import is_literal
from bottle_mitmproxy.sidecar.gate import Gate
from bottle_mitmproxy.sidecar.journal import Journal
from bottle_mitmproxy.sidecar.stream import Http, Refused

__all__ = ["Tunnels"]

HELLO_LIMIT = 1 << 16
"""Bytes within which a ClientHello must end."""


class Tunnels:
    """Chooses the protocol layers of one client connection."""

    def __init__(self, gate: Gate, journal: Journal, client: Client) -> None:
        self._gate = gate
        self._journal = journal
        self._client = client

    def next_layer(self, asking: layer.NextLayer) -> None:
        """Answer mitmproxy's question for the layer that comes next; None waits for more bytes."""
        tunnel, context, data = self._gate.tunnel, asking.context, asking.data_client()
        if tunnel is None:
            asking.layer = Refused(context)
        elif self._client.tls:
            content = "http" if self._client.alpn == b"h2" else content_of(data)
            asking.layer = self._inner(context, content, tunnel, raw=False)
        elif content_of(data) == "tls":
            asking.layer = self._opaque(context, data, tunnel) if tunnel.level == "opaque" else self._opened(context)
        else:
            asking.layer = self._inner(context, content_of(data), tunnel, raw=tunnel.raw)

    def _inner(self, context: Context, content: str | None, tunnel: Decision, *, raw: bool) -> layer.Layer | None:
        if content is None:
            return None
        if content == "http":
            return Http(context, HTTPMode.transparent, self._gate)
        if raw:
            self._journal.tunnel(tunnel, "raw")
            return self._relay(context)
        return self._refused(context, tunnel, "protocol", "what comes through the tunnel is neither TLS nor HTTP")

    def _opened(self, context: Context) -> layer.Layer:
        server = layers.ServerTLSLayer(context)
        server.child_layer = layers.ClientTLSLayer(context)
        return server

    def _opaque(self, context: Context, data: bytes, tunnel: Decision) -> layer.Layer | None:
        try:
            hello: ClientHello | None = parse_client_hello(data)
        except ValueError:
            return self._refused(context, tunnel, "protocol", "the TLS handshake cannot be read")
        if hello is None and len(data) < HELLO_LIMIT:
            return None
        if hello is None:
            return self._refused(context, tunnel, "protocol", "the TLS handshake does not end")
        if hello.sni is None and not is_literal(tunnel.host):
            return self._refused(context, tunnel, "mismatch", "the TLS handshake names no host (SNI)")
        if refusal := self._gate.policy.agree("SNI", hello.sni, tunnel.host, tunnel.port):
            return self._refused(context, tunnel, refusal.rule, refusal.reason)
        self._journal.tunnel(tunnel, "opaque")
        return self._relay(context)

    def _relay(self, context: Context) -> layer.Layer:
        self._gate.relays = True
        if not context.server.via:
            return layers.TCPLayer(context, ignore=True)
        stack = HttpUpstreamProxy.make(context, send_connect=True)
        stack /= layers.TCPLayer(context, ignore=True)
        return stack[0]

    def _refused(self, context: Context, tunnel: Decision, rule: Rule, reason: str) -> layer.Layer:
        self._journal.tunnel(self._gate.policy.refuse(tunnel.host, tunnel.port, 403, rule, reason))
        return Refused(context)
