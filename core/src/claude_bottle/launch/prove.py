"""The proof before the agent: what must not be reachable is dialled, and what must answer is asked."""

import os
import socket
from collections.abc import Sequence

from claude_bottle.errors import ProofError
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle, Dial
from claude_bottle.seam.sidecar import Address, Site

__all__ = ["prove_isolation", "refused_name"]

PATIENCE = 2.0


def refused_name(label: str) -> str:
    """Return the name of one launch that no proxy lets through: below `.invalid` (RFC 6761), so nobody allows it."""
    return f"{label}.claude-bottle.invalid"


def prove_isolation(plan: Plan, site: Site, bottle: Bottle) -> None:
    """Raise ProofError unless the bottle's only way out is the proxy.

    From the agent's own network a listener on the host that answers the host itself cannot be dialled, a
    name that the host resolves at this moment is not known, and the proxy refuses a name that nobody allowed.
    """
    listen = site.listen
    refused = refused_name(bottle.launch)
    connect = f"CONNECT {refused}:443 HTTP/1.1\r\nHost: {refused}:443\r\n\r\n".encode()
    name = _known_name(plan)
    with site.witness() as witnesses:
        _check_witnesses(witnesses)
        dials = [*(Dial(host, port) for host, port in witnesses), Dial(listen.host, listen.port, connect)]
        seen = bottle.look(dials, [name] if name else [])
    *outside, proxy = seen.answers
    for witness, answer in zip(witnesses, outside, strict=True):
        if answer is not None:
            raise ProofError(
                f"the bottle reaches the host at {witness.host}:{witness.port}; no agent was started",
                "the backend's network is not isolated here: bottle doctor",
            )
    if any(seen.resolved):
        raise ProofError(f"the bottle's resolver knows {name}; no agent was started", "bottle doctor")
    if proxy is None or b" 403 " not in proxy.partition(b"\r\n")[0]:
        got = "nothing" if proxy is None else repr(proxy[:80])
        raise ProofError(f"the proxy does not refuse as it should (it answered {got}); no agent was started")


def _check_witnesses(witnesses: Sequence[Address]) -> None:
    if not witnesses:
        raise ProofError("the backend has no witness on the host, so isolation cannot be proved")
    for witness in witnesses:
        try:
            socket.create_connection(witness, timeout=PATIENCE).close()
        except OSError as error:
            raise ProofError(
                f"the witness at {witness.host}:{witness.port} does not answer the host: {error}"
            ) from error


def _known_name(plan: Plan) -> str | None:
    """Return a name that this host resolves now; None if it resolves none, when no resolver can leak."""
    exact = [rule.host for rule in plan.egress.rules if not rule.host.startswith("*.") and not _is_address(rule.host)]
    for name in [os.uname().nodename, *exact]:
        try:
            socket.getaddrinfo(name, None)
        except OSError:
            continue
        return name
    return None


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
