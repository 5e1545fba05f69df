"""The decisions about one connection's requests, taken in mitmproxy's HTTP hooks."""

import asyncio
import zlib
from collections.abc import Collection, Sequence
from functools import partial

from mitmproxy import http

from bottle_mitmproxy.policy.decision import Decision
from bottle_mitmproxy.policy.head import Head
from bottle_mitmproxy.policy.policy import Policy
from bottle_mitmproxy.policy.requests import decide_fields, decide_plain, decide_tunnelled, too_large
from bottle_mitmproxy.policy.scanner import find_credential, find_in_url
from bottle_mitmproxy.sidecar.answer import answer
from bottle_mitmproxy.sidecar.body import BodyError, Cargo, scan
from bottle_mitmproxy.sidecar.exchange import Exchange, search
from bottle_mitmproxy.sidecar.journal import Journal, case_of
from bottle_mitmproxy.sidecar.office import Office

__all__ = ["Gate", "unreachable"]

FOR_THE_PROXY = frozenset({b"proxy-authorization", b"proxy-connection", b"proxy-authenticate"})
UPGRADE = frozenset({b"connection", b"http2-settings", b"upgrade"})
INLINE = 1 << 14
"""Bytes that are looked through at once; more goes to a thread, so that other connections go on."""

CONNECT_ERRORS = (
    ("certificate verify failed", "its certificate is not trusted; `upstream: ca:` in config.yaml adds an authority"),
    ("name or service not known", "its name does not resolve"),
    ("no address associated", "its name does not resolve"),
    ("temporary failure in name resolution", "its name cannot be resolved now"),
    ("connect call failed", "it refuses the connection"),
    ("timed out", "it does not answer"),
)


class Gate:
    """One client connection's way through the policy.

    `tunnel` is what its CONNECT was allowed, `plain` the last request without one. `relays` is true once
    bytes pass through the tunnel unopened.
    `dial_refusals` are addresses that were refused as they were dialled, by host and port.
    """

    def __init__(self, office: Office, journal: Journal) -> None:
        self._office = office
        self._journal = journal
        self._exchange = Exchange(office.vault)
        self.tunnel: Decision | None = None
        self.plain: Decision | None = None
        self.relays = False
        self.dial_refusals: dict[tuple[str, int], Decision] = {}

    @property
    def policy(self) -> Policy:
        """The policy of this moment."""
        return self._office.policy

    async def http_connect(self, flow: http.HTTPFlow) -> None:
        """Decide on a tunnel by its target alone."""
        request = flow.request
        decision = self.policy.connect(_text(request.data.authority))
        if issuer := find_in_url(request.data.authority):
            decision = self.policy.credential(decision.host, decision.port, issuer, "host")
        decision = self._named(decision, request.data.authority)
        if decision.allowed:
            decision = await self._office.behind_proxy(decision)
        if not decision.allowed:
            self.refuse(flow, decision)
            return
        self.tunnel = decision
        request.data.host, request.data.port = decision.host, decision.port
        if self._office.upstream_proxy:
            flow.server_conn.via = ("http", self._office.upstream_proxy)

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Decide on a request before its body is read."""
        if flow.error:  # malformed: mitmproxy answers 400 by itself, and `error` reports it
            return
        head = _head(flow)
        if self.tunnel:
            decision = decide_tunnelled(self.policy, self.tunnel, head)
        else:
            decision = self._named(decide_plain(self.policy, head), head.host.encode("utf-8", "surrogateescape"))
            decision = await self._office.behind_proxy(decision) if decision.allowed else decision
        if not decision.allowed:
            self.refuse(flow, decision)
            return
        self._journal.let_in(flow, decision)
        _strip(flow.request)
        if not self.tunnel:
            self.plain = decision
            self._aim(flow.request, decision)

    async def request(self, flow: http.HTTPFlow) -> None:
        """Look for credentials in the whole request, before any of it is sent."""
        if flow.response:
            return
        case = flow.metadata["case"]
        host, port = case.decision.host, case.decision.port
        if flow.request.trailers and (broken := decide_fields(self.policy, host, port, flow.request.trailers.fields)):
            self.refuse(flow, broken)
            return
        opened = self.tunnel is not None and flow.client_conn.tls and flow.request.scheme == "https"
        slots = self._exchange.slots(flow.request, case.decision, opened=opened)
        cargo = _cargo(flow.request, slots)
        try:
            look = partial(self._look, cargo, case.decision)
            refusal = await asyncio.to_thread(look) if len(cargo.body) > INLINE else look()
        except BodyError as error:
            self.refuse(flow, self.policy.refuse(host, port, 415, "encoding", str(error)))
            return
        if refusal and (case.decision.level != "warn" or refusal.rule == "credential"):
            self.refuse(flow, refusal)
            return
        case.found, case.sent = refusal.reason if refusal else "", len(cargo.body)
        self._exchange.send(flow.request, slots)

    def _look(self, cargo: Cargo, decision: Decision) -> Decision | None:
        """Look through a whole request, at first for what is this bottle's own."""
        vault = self._office.vault
        if vault and (own := search(vault, cargo)):
            return self._exchange.refusal(self.policy, decision, *own)
        found = scan(cargo)
        return self.policy.credential(decision.host, decision.port, *found) if found else None

    def _named(self, decision: Decision, name: bytes) -> Decision:
        """Refuse a host with one of this bottle's own credentials in its name, before anybody resolves it."""
        found = self._office.vault.find(name)
        return self._exchange.refusal(self.policy, decision, "host", found) if found else decision

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream every response that comes from upstream, counting its bytes."""
        case = case_of(flow)
        if case is None or flow.response is None or flow.metadata.get("refused"):
            return

        flow.request.raw_content = b""  # it was sent, and a flow lives until the garbage collector comes round
        clean = self._exchange.receive(flow)
        if clean is None:
            reason = "its answer is compressed in a way in which no credential can be found"
            refusal = self.policy.refuse(case.decision.host, case.decision.port, 502, "encoding", reason)
            text = iter([self.refuse(flow, refusal).raw_content or b""])
            flow.response.stream = lambda _: next(text, b"")  # in place of what the upstream still sends
            return

        def count(part: bytes) -> Sequence[bytes]:
            case.received += len(part)
            try:
                return [out] if (out := clean(part)) else []  # an empty chunk would be the end
            except (BodyError, zlib.error) as error:  # which closes the connection
                self._journal.answered(flow, f"the answer was cut off: {error}")
                raise

        flow.response.stream = count

    def response(self, flow: http.HTTPFlow) -> None:
        """Report a request that was answered."""
        self._exchange.finish(flow)
        self._journal.answered(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """Report a request that came to nothing."""
        reason = flow.error.msg if flow.error else ""
        if case_of(flow):
            self._journal.answered(flow, reason)
            return
        host, port = _text(flow.request.host), flow.request.port
        if self.tunnel:
            host, port = self.tunnel.host, self.tunnel.port
        self._journal.refused(flow, self.policy.refuse(host, port, 400, "form", f"the request is malformed: {reason}"))

    async def websocket_message(self, flow: http.HTTPFlow) -> bool:
        """Look at a message from the agent; False if it must not pass."""
        case = case_of(flow)
        if flow.websocket is None or case is None:
            return False
        message = flow.websocket.messages[-1]
        flow.websocket.messages.clear()  # mitmproxy would keep every message for as long as the socket is open
        content = message.content
        if not message.from_client:
            message.content = self._office.vault.clean(content)
            return True
        if own := self._office.vault.find(content):
            self._journal.found(
                flow, self._exchange.refusal(self.policy, case.decision, "WebSocket message", own), "deny"
            )
            message.drop()
            return False
        found = await asyncio.to_thread(find_credential, content) if len(content) > INLINE else find_credential(content)
        if not found:
            return True
        refusal = self.policy.credential(case.decision.host, case.decision.port, found, "WebSocket message")
        passes = case.decision.level == "warn"
        self._journal.found(flow, refusal, "warn" if passes else "deny")
        if not passes:
            message.drop()
        return passes

    def too_large(self, flow: http.HTTPFlow) -> http.Response:
        """Answer a request whose body has outgrown the limit."""
        return self.refuse(flow, too_large(self.policy, _text(flow.request.host), flow.request.port))

    def unreachable(self, flow: http.HTTPFlow, error: str) -> http.Response:
        """Answer a request whose upstream cannot be reached, for the reason that stands in `error`."""
        host, port = _target(flow)
        refusal = self.dial_refusals.pop((host, port), None)
        return self.refuse(flow, refusal or unreachable(self.policy, host, port, error))

    def broken(self, flow: http.HTTPFlow, why: str) -> http.Response:
        """Answer a request that was sent, and whose answer cannot be passed on."""
        self._journal.answered(flow, why)
        return answer(unreachable(self.policy, *_target(flow), why))

    def refuse(self, flow: http.HTTPFlow, decision: Decision) -> http.Response:
        """Answer a request without an upstream, and report it."""
        flow.response = answer(decision)
        flow.request.headers.fields = tuple(
            (name, value) for name, value in flow.request.headers.fields if name.lower() != b"expect"
        )
        self._journal.refused(flow, decision, "allow" if decision.rule == "upstream" else "deny")
        return flow.response

    def _aim(self, request: http.Request, decision: Decision) -> None:
        """Set where a plain request goes: in one spelling, or in absolute form to the upstream proxy."""
        request.data.host, request.data.port = decision.host, decision.port
        if proxy := self._office.upstream_proxy:
            shown = f"[{decision.host}]" if ":" in decision.host else decision.host
            request.data.authority = f"{shown}:{decision.port}".encode()
            request.data.host, request.data.port = proxy


def unreachable(policy: Policy, host: str, port: int, error: str) -> Decision:
    """Say in plain words why a host cannot be reached."""
    why = next((text for mark, text in CONNECT_ERRORS if mark in error.lower()), error)
    return policy.refuse(host, port, 502, "upstream", why)


def _target(flow: http.HTTPFlow) -> tuple[str, int]:
    case, request = case_of(flow), flow.request
    return (case.decision.host, case.decision.port) if case else (request.host, request.port)


def _head(flow: http.HTTPFlow) -> Head:
    data, client = flow.request.data, flow.client_conn
    return Head(
        method=_text(data.method),
        version=_text(data.http_version),
        scheme=_text(data.scheme),
        host=data.host,
        port=data.port,
        authority=_text(data.authority),
        fields=tuple(flow.request.headers.fields),
        sni=client.sni if client.tls else None,
        path=data.path,
    )


def _cargo(request: http.Request, slots: Collection[int]) -> Cargo:
    """Return what leaves with a request, without the headers that a credential goes into."""
    trailers = request.trailers.fields if request.trailers else ()
    fields = (field for at, field in enumerate(request.headers.fields) if at not in slots)
    return Cargo(request.data.path, (*fields, *trailers), request.raw_content or b"")


def _strip(request: http.Request) -> None:
    """Take out what was meant for the proxy, and every upgrade but WebSocket: after it bytes would pass unseen."""
    fields = request.headers.fields
    upgrades = [value.strip().lower() for name, value in fields if name.lower() == b"upgrade"]
    gone = FOR_THE_PROXY | UPGRADE if upgrades and upgrades != [b"websocket"] else FOR_THE_PROXY
    request.headers.fields = tuple((name, value) for name, value in fields if name.lower() not in gone)


def _text(data: bytes | str) -> str:
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")
    return raw.decode("ascii", "backslashreplace")
