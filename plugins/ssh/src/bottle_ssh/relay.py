"""What answers the agent's ssh: of all that an ssh-agent does, two things, for the keys and hosts of the manifest."""

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from bottle_ssh import wire
from bottle_ssh.agent import KeyAgent, dial
from claude_bottle.seam.event import Event, Verdict

__all__ = ["Allowed", "Destination", "Relay"]

AGENT = "ssh-agent"
REFUSAL = bytes([wire.FAILURE])
REQUESTS: Mapping[int, str] = {
    1: "list (version 1)",
    17: "add",
    18: "remove",
    19: "remove all",
    20: "add a token",
    21: "remove a token",
    22: "lock",
    23: "unlock",
    25: "add",
    26: "add a token",
    27: "extension",
}
"""What clients may ask of an agent, and not of this one, in words for the record."""


class Destination(NamedTuple):
    """Who may be logged in to, where, and by which keys that host is known.

    `certified`: the host may also show a certificate, of which ssh-agent judges.
    """

    user: str
    host: str
    port: int
    host_keys: frozenset[bytes]
    certified: bool = False

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


class Allowed(NamedTuple):
    """A key that may be used: its name inside and its file's, where, and the user's own agent if that holds it."""

    name: str
    key: str
    destinations: tuple[Destination, ...]
    owner: Path | None = None


class Relay:
    """The service behind the socket inside. Each client has an ssh-agent's connection of its own."""

    def __init__(self, agent: KeyAgent, keys: Mapping[bytes, Allowed], report: Callable[[Event], None]) -> None:
        self._agent = agent
        self._keys = keys
        self._report = report

    def serve(self, connection: socket.socket) -> None:
        """See `seam.bottle.Service`."""
        with ExitStack() as stack:
            client = _Client(self._agent, self._keys, self._report, stack)
            while (message := wire.receive(connection)) is not None:
                try:
                    answer = client.answer(message)
                except ValueError:
                    answer = REFUSAL
                wire.send(connection, answer)

    def close(self) -> None:
        """See `seam.bottle.Service`: the agent ends, and the keys with it."""
        self._agent.close()


class _Client:
    """One client: what it has bound its connection to, and what is let through."""

    def __init__(
        self,
        agent: KeyAgent,
        keys: Mapping[bytes, Allowed],
        report: Callable[[Event], None],
        stack: ExitStack,
    ) -> None:
        self._keys = keys
        self._report = report
        self._bound: wire.Bind | None = None
        self._own = stack.enter_context(agent.connect())
        self._owners: dict[Path, socket.socket] = {}
        for owner in {it.owner for it in keys.values() if it.owner is not None}:
            with suppress(OSError):  # it has ended: its keys are no longer listed, nor used
                self._owners[owner] = stack.enter_context(dial(owner))

    def answer(self, message: bytes) -> bytes:
        """Return the answer to a message; ValueError for one that is malformed."""
        reader = wire.Reader(message)
        kind = reader.byte()
        if kind == wire.LIST:
            return self._list()
        if kind == wire.SIGN:
            return self._sign(message, reader)
        if kind == wire.EXTENSION:
            name = reader.string()
            if name == wire.SESSION_BIND:
                return self._bind(message, wire.Bind.read(reader))
            if name == b"query":
                return REFUSAL
        self._note("deny", "ssh-request", REQUESTS.get(kind, f"request {kind}"))
        return REFUSAL

    def _list(self) -> bytes:
        """List what the manifest names, of that what is there and may be used on this connection."""
        there: set[bytes] = set()
        for agent in (self._own, *self._owners.values()):
            with suppress(OSError, ValueError):
                there |= set(wire.list_keys(agent))
        return wire.pack_keys(
            (blob, allowed.name)
            for blob, allowed in self._keys.items()
            if blob in there and (self._bound is None or any(self._fits(it) for it in allowed.destinations))
        )

    def _bind(self, message: bytes, bind: wire.Bind) -> bytes:
        """Bind the connection to a host once; ssh-agent verifies that this host has signed the session."""
        if bind.forwarding or self._bound is not None:
            self._note("deny", "ssh-request", "forward the agent")
            return REFUSAL
        answer = wire.ask(self._own, message)
        if answer[0] != wire.SUCCESS:
            return REFUSAL
        for owner in self._owners.values():
            with suppress(OSError):  # an agent that knows no such extension says so, which is no harm
                wire.ask(owner, message)
        self._bound = bind
        return answer

    def _sign(self, message: bytes, reader: wire.Reader) -> bytes:
        blob, data, flags = reader.string(), reader.string(), reader.take(4)
        reader.end()
        allowed = self._keys.get(blob)
        if allowed is None:
            self._note("deny", "ssh-key", "sign with a key that the manifest does not name")
            return REFUSAL
        login = self._login(data)
        destination = None if login is None else self._destination(allowed, login)
        if login is None or destination is None:
            self._note("deny", "ssh-destination", f"sign with {allowed.key} for another host, user or purpose")
            return REFUSAL
        if allowed.owner is None:
            # ssh asks for the bare key where it logs in with a certificate of it, and ssh-agent wants the two to agree.
            answer = wire.ask(
                self._own, bytes([wire.SIGN]) + wire.pack_string(login.key) + wire.pack_string(data) + flags
            )
        else:
            owner = self._owners.get(allowed.owner)
            answer = REFUSAL if owner is None else wire.ask(owner, message)
        if answer[0] == wire.SIGNED:
            self._note("allow", "ssh", f"signed with {allowed.key} for {destination}", destination)
        else:
            self._note("deny", "ssh", f"ssh-agent did not sign with {allowed.key} for {destination}", destination)
        return answer

    def _login(self, data: bytes) -> wire.Login | None:
        """Return the login that is to be signed, None unless it is of the session that this connection has."""
        try:
            login = wire.Login.read(data)
        except ValueError:
            return None
        bound = self._bound
        if bound is None or login.session != bound.session or login.host_key not in {None, bound.host_key}:
            return None
        return login

    def _destination(self, allowed: Allowed, login: wire.Login) -> Destination | None:
        """Return where a login with this key, or with its certificate, goes; None unless the key may be used there."""
        if self._keys.get(login.key) is not allowed:
            return None
        fitting = (it for it in allowed.destinations if it.user == login.user and self._fits(it))
        return next(fitting, None)

    def _fits(self, destination: Destination) -> bool:
        """Say whether the connection is bound to a host; a certificate of one is judged by ssh-agent, which has it."""
        bound = self._bound
        if bound is None:
            return False
        certificate = b"-cert-v01@openssh.com" in bound.host_key[:64]
        return bound.host_key in destination.host_keys or (certificate and destination.certified)

    def _note(self, verdict: Verdict, rule: str, reason: str, destination: Destination | None = None) -> None:
        host, port = (destination.host, destination.port) if destination else (AGENT, None)
        now = time.time()
        self._report(
            Event(time=now, verdict=verdict, host=host, port=port, by=AGENT, method="SIGN", rule=rule, reason=reason)
        )
