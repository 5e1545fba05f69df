"""Hosts that are opened for a running bottle, without a restart."""

import threading

from msgspec.structs import replace

from claude_bottle.errors import BottleError, UnavailableError
from claude_bottle.launch.control import AllowRequest
from claude_bottle.launch.prepare import Prepared
from claude_bottle.manifest.host import parse_host
from claude_bottle.plan.hosts import WEB_PORTS
from claude_bottle.seam.levels import DlpAction, HostRule
from claude_bottle.seam.proxy import Proxy

__all__ = ["Allowances"]


class Allowances:
    """The rules of one running bottle: those of its plan, and what was opened since."""

    def __init__(self, prepared: Prepared, proxy: Proxy) -> None:
        self._rules = {rule.host: rule for rule in prepared.plan.egress.rules}
        self._action: DlpAction = prepared.plan.egress.dlp_action
        self._proxy = proxy
        self._lock = threading.Lock()

    def allow(self, request: AllowRequest) -> None:
        """Open one host at the bottle's own `dlp_action`; BottleError if it is no host or cannot be opened now."""
        pattern = parse_host(request.allow)
        host = str(pattern._replace(port=None))
        ports = WEB_PORTS if pattern.port is None else (pattern.port,)
        with self._lock:
            rules = dict(self._rules)
            known = rules.get(host)
            rules[host] = (
                replace(known, ports=tuple(sorted({*known.ports, *ports})))
                if known
                else HostRule(host=host, level=self._action, plain=self._action, why="bottle allow", ports=ports)
            )
            if rules[host] == known:
                return
            try:
                done = self._proxy.reload(tuple(sorted(rules.values(), key=lambda rule: rule.host)))
            except OSError as error:
                raise BottleError(f"the proxy could not be told: {error}") from error
            if not done:
                raise UnavailableError(
                    "this proxy cannot change its rules while it runs", "stop the bottle, and start it again"
                )
            self._rules = rules
