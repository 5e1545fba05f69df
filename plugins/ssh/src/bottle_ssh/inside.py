"""What ssh inside is told: its `Host` blocks, the keys of hosts, public halves of keys, and the way to the proxy."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import NamedTuple
from urllib.parse import urlsplit

from claude_bottle.errors import LaunchError
from claude_bottle.manifest.types import Ssh
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.tree import Entry, FileEntry, FolderEntry

__all__ = ["Surroundings", "client_entries", "look_around"]

HELPER = "connect.pl"
SOCKET = "agent.sock"

# One line each: the home, where the proxy is, and which of the programs that are needed are not there.
LOOK = """
printf '%s\\n%s\\n' "$HOME" "${HTTPS_PROXY-}"
for program in ssh perl; do command -v "$program" >/dev/null || printf '%s\\n' "$program"; done
"""


class Surroundings(NamedTuple):
    """Where things are inside: the folder of ssh's files, the proxy as `HOST:PORT`, the agent's socket."""

    folder: str
    proxy: str
    socket: str


def look_around(bottle: Bottle) -> Surroundings:
    """Return where things are; LaunchError where the bottle has not what ssh needs."""
    home, proxy, *missing = bottle.exec(LOOK).stdout.decode("utf-8", "replace").splitlines()
    if missing:
        hint = "install openssh-client and perl: in the bottle's image, or on this machine if the bottle shows its /usr"
        raise LaunchError(f"the bottle has no {' and no '.join(missing)}, which its ssh entries need", hint)
    at = urlsplit(proxy)
    if not at.hostname or not at.port:
        raise LaunchError("the bottle names no proxy, and ssh has no other way out")
    host = f"[{at.hostname}]" if ":" in at.hostname else at.hostname
    return Surroundings(f"{home}/.ssh", f"{host}:{at.port}", f"{home}/.ssh/{SOCKET}")


def client_entries(
    around: Surroundings, hosts: Sequence[Ssh], known_hosts: str, names: Mapping[str, Mapping[str, bytes]]
) -> Iterable[Entry]:
    """Yield what is laid into the folder. `names` has, by the path of a key, the files of its public parts."""
    yield FolderEntry(".", 0o700)
    yield FileEntry("known_hosts", known_hosts.encode())
    yield FileEntry(HELPER, resources.files(__package__ or "").joinpath(HELPER).read_bytes())
    for files in names.values():
        for name, line in files.items():
            yield FileEntry(name, line, 0o600)
    yield FileEntry("config", client_config(around, hosts, names).encode(), 0o600)


def client_config(around: Surroundings, entries: Sequence[Ssh], names: Mapping[str, Mapping[str, bytes]]) -> str:
    """Return ssh's configuration: a block for each host; the first entry of a host says its user and port."""
    by_host: dict[str, list[Ssh]] = {}
    for entry in entries:
        by_host.setdefault(entry.host, []).append(entry)
    return "".join(host_block(around, host, own, names) for host, own in by_host.items())


def host_block(
    around: Surroundings, host: str, entries: Sequence[Ssh], names: Mapping[str, Mapping[str, bytes]]
) -> str:
    """Return one block. What is in it cannot be loosened by a later one: ssh takes the first value that it finds."""
    files = dict.fromkeys(name for entry in entries for name in names[entry.identity_file])
    helper = shlex.join(["perl", f"{around.folder}/{HELPER}", around.proxy])
    lines = [
        f"User {entries[0].user}",
        f"Port {entries[0].port}",
        *(f"{option_of(name)} {around.folder}/{name}" for name in files),
        "IdentitiesOnly yes",
        f"IdentityAgent {around.socket}",
        "ForwardAgent no",
        f"UserKnownHostsFile {around.folder}/known_hosts",
        "GlobalKnownHostsFile none",
        "StrictHostKeyChecking yes",
        "UpdateHostKeys no",
        "PreferredAuthentications publickey",
        f"ProxyCommand {helper} %h %p",
        "ServerAliveInterval 30",
    ]
    return f"Host {host}\n" + "".join(f"    {line}\n" for line in lines)


def option_of(name: str) -> str:
    """Return the option that names a file of this kind."""
    return "CertificateFile" if name.endswith("-cert.pub") else "IdentityFile"
