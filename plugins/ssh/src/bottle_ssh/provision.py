"""The step of a launch: an agent that holds the keys, a socket inside that reaches it, and ssh's own files."""

import binascii
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from bottle_ssh.agent import KeyAgent
from bottle_ssh.check import AGENT_VARIABLE, identities, known
from bottle_ssh.inside import client_entries, look_around
from bottle_ssh.keys import Identity
from bottle_ssh.known import AUTHORITY, HostKeys, host_text
from bottle_ssh.relay import Allowed, Destination, Relay
from bottle_ssh.wire import Reader
from bottle_ssh.within import RecordingAgent, begin_inside
from claude_bottle.errors import LaunchError
from claude_bottle.manifest.types import Ssh
from claude_bottle.seam.bottle import Bottle, SocketBottle
from claude_bottle.seam.event import Event
from claude_bottle.seam.secrets import Secrets

__all__ = ["provision"]

CERTIFICATE = b"-cert-v01@openssh.com"


def provision(bottle: Bottle, entries: Sequence[Ssh], answers: Secrets, report: Callable[[Event], None]) -> None:
    """Do it; what was begun ends with the bottle, and at once where this fails.

    The agent is outside where the bottle can have a socket that is answered there, else one of root's own inside.
    """
    around = look_around(bottle)
    hosts = {entry: known(entry) for entry in entries}
    found = identities(entries)
    if gone := [entry.identity_file for entry in entries if entry.identity_file not in found]:
        raise LaunchError(f"the key {gone[0]} is not there any more")
    known_hosts = "".join(f"{line}\n" for line in dict.fromkeys(line for it in hosts.values() for line in it.lines))
    with ExitStack() as failing:
        agent = KeyAgent() if isinstance(bottle, SocketBottle) else RecordingAgent()
        failing.callback(agent.close)
        agent.await_start()
        keys: dict[bytes, Allowed] = {}
        names: dict[str, Mapping[str, bytes]] = {}
        for number, (path, identity) in enumerate(found.items(), 1):
            own = [(entry, hosts[entry]) for entry in entries if entry.identity_file == path]
            blobs = held(agent, identity, own, answers.get(path))
            name = f"bottle-{number}"
            allowed = allow(name, identity, own)
            keys |= dict.fromkeys(blobs, allowed)
            names[path] = dict(public_files(name, blobs))
        if isinstance(agent, RecordingAgent):
            around = around._replace(socket=begin_inside(bottle, agent))
        bottle.put(client_entries(around, entries, known_hosts, names), around.folder)
        if isinstance(bottle, SocketBottle):
            failing.pop_all()
            bottle.serve_socket(around.socket, Relay(agent, keys, report))


def held(
    agent: KeyAgent, identity: Identity, hosts: Sequence[tuple[Ssh, HostKeys]], passphrase: str | None
) -> frozenset[bytes]:
    """Return the blobs of a key, which whoever holds it is now ready to use."""
    if identity.with_agent:
        return identity.public
    destinations: list[str] = []
    lines: list[str] = []
    for entry, it in hosts:
        text = host_text(entry.host, entry.port)
        lines += it.lines
        if it.keys:
            destinations.append(f"{entry.user}@{text}")
        if it.authorities:  # a certificate names its host without a port, and so does who may certify it
            destinations.append(f"{entry.user}@{entry.host}")
            lines += [line.replace(text, entry.host, 1) for line in it.lines if line.startswith(AUTHORITY)]
    return agent.add(identity.path, destinations, "".join(f"{line}\n" for line in lines), passphrase)


def allow(name: str, identity: Identity, hosts: Sequence[tuple[Ssh, HostKeys]]) -> Allowed:
    """Return where a key may be used. Of a host's certificate only an agent judges that was told its destinations."""
    destinations = tuple(
        Destination(
            user=entry.user,
            host=entry.host,
            port=entry.port,
            host_keys=it.keys,
            certified=bool(it.authorities) and not identity.with_agent,
        )
        for entry, it in hosts
    )
    owner = Path(os.environ.get(AGENT_VARIABLE, "")) if identity.with_agent else None
    return Allowed(name, identity.path.name, destinations, owner)


def public_files(name: str, blobs: frozenset[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each public part; a certificate's name ends as ssh expects it."""
    for blob in blobs:
        kind = Reader(blob).string()
        suffix = "-cert.pub" if kind.endswith(CERTIFICATE) else ".pub"
        yield f"{name}{suffix}", b"%s %s %s\n" % (kind, binascii.b2a_base64(blob, newline=False), name.encode())
