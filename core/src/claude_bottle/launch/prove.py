"""The proof before the agent: what must not be reachable is dialled, and what must answer is asked."""

import os
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from claude_bottle.errors import ProofError
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle, Dial
from claude_bottle.seam.sidecar import Address, Outpost, Site
from claude_bottle.seam.traits import BackendTraits

__all__ = ["Proof", "refused_name"]

PATIENCE = 2.0


def refused_name(label: str) -> str:
    """Return the name of one launch that no proxy lets through: below `.invalid` (RFC 6761), so nobody allows it."""
    return f"{label}.claude-bottle.invalid"


class _Control(NamedTuple):
    """What answered and resolved outside, at this moment: from inside none of it may."""

    dials: list[Dial]
    names: list[str]


class Proof:
    """That a bottle's only way out is the proxy, found out in threads beside the rest of the way up.

    From the agent's own network a listener on the host that answers the host itself cannot be dialled, a
    name that the host resolves at this moment is not known, and the proxy refuses a name that nobody allowed.
    """

    def __init__(self, plan: Plan, site: Site, traits: BackendTraits | None = None) -> None:
        self._plan = plan
        self._site = site
        self._traits = traits
        self._parts: list[_Part] = []

    def begin(self, bottle: Bottle) -> None:
        """Look at what must not be seen: as soon as the bottle is up, for a silence takes its time."""
        self._parts.append(_Part(lambda: self._look_outside(bottle)))

    def ask_proxy(self, bottle: Bottle) -> None:
        """Ask the proxy, once it serves."""
        self._parts.append(_Part(lambda: self._look_at_proxy(bottle)))

    def judge(self) -> None:
        """Raise ProofError unless all of it is as it must be.

        The error's hint is the backend's: it knows which setting is at fault.
        """
        for part in self._parts:
            part.result()

    def close(self) -> None:
        """Wait until nobody looks any more, whatever was seen. Idempotent."""
        for part in self._parts:
            part.join()

    def _look_outside(self, bottle: Bottle) -> None:
        with self._site.witness() as witnesses:
            far = isinstance(witnesses, Outpost)
            control = _far(self._plan, witnesses) if far else _near(self._plan, witnesses)
            seen = bottle.look(control.dials, control.names)
        for dial, answer in zip(control.dials, seen.answers, strict=True):
            if answer is not None:
                raise ProofError(
                    f"the bottle reaches the host at {dial.host}:{dial.port}; no agent was started",
                    self._traits and self._traits.host_cure,
                )
        for name, known in zip(control.names, seen.resolved, strict=True):
            if known:
                raise ProofError(
                    f"the bottle's resolver knows {name}; no agent was started",
                    self._traits and self._traits.name_cure,
                )

    def _look_at_proxy(self, bottle: Bottle) -> None:
        listen, refused = self._site.listen, refused_name(bottle.launch)
        connect = f"CONNECT {refused}:443 HTTP/1.1\r\nHost: {refused}:443\r\n\r\n".encode()
        (answer,) = bottle.look([Dial(listen.host, listen.port, connect)], []).answers
        if answer is None or b" 403 " not in answer.partition(b"\r\n")[0]:
            got = "nothing" if answer is None else repr(answer[:80])
            raise ProofError(f"the proxy does not refuse as it should (it answered {got}); no agent was started")


class _Part(threading.Thread):
    """One part of a proof; what it raises is raised where its result is asked for."""

    def __init__(self, part: Callable[[], None]) -> None:
        super().__init__(name="proof", daemon=True)
        self._part = part
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """See `threading.Thread`."""
        try:
            self._part()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, `result` raises it
            self._error = error

    def result(self) -> None:
        """Wait for it."""
        self.join()
        if self._error is not None:
            raise self._error


def _near(plan: Plan, witnesses: Sequence[Address]) -> _Control:
    """Dial the witnesses on this machine, and look for a name that it resolves now: if none, no resolver can leak."""
    if not witnesses:
        raise ProofError("the backend has no witness on the host, so isolation cannot be proved")
    for witness in witnesses:
        try:
            socket.create_connection(witness, timeout=PATIENCE).close()
        except OSError as error:
            raise ProofError(
                f"the witness at {witness.host}:{witness.port} does not answer the host: {error}"
            ) from error
    name = next(filter(_resolves, _candidates(plan, os.uname().nodename)), None)
    return _Control([Dial(host, port) for host, port in witnesses], [name] if name else [])


def _far(plan: Plan, outpost: Outpost) -> _Control:
    """Have the same done on the host, and on this machine too, which some engines lead to.

    The witnesses answer with what they are sent, and it is known here alone: nobody's word is taken for it.
    """
    if not outpost.addresses:
        raise ProofError(f"the backend has no witness on {outpost.host}, so isolation cannot be proved")
    nonce = secrets.token_hex(8).encode()
    dials, names = [Dial(host, port, nonce) for host, port in outpost.addresses], _candidates(plan, outpost.host)
    seen = outpost.look(dials, names)
    for dial, answer in zip(dials, seen.answers, strict=True):
        if answer != nonce:
            raise ProofError(f"the witness at {dial.host}:{dial.port} does not answer its own host, {outpost.host}")
    known = [name for name, resolved in zip(names, seen.resolved, strict=True) if resolved][:1]
    near = _near(plan, outpost.here) if outpost.here else _Control([], [])
    return _Control([*dials, *near.dials], list(dict.fromkeys([*known, *near.names])))


def _candidates(plan: Plan, host: str) -> list[str]:
    """Return names that a host may well resolve: its own, and those that the bottle is allowed to reach."""
    exact = [rule.host for rule in plan.egress.rules if not rule.host.startswith("*.") and not _is_address(rule.host)]
    return [host, *exact]


def _resolves(name: str) -> bool:
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return False
    return True


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
