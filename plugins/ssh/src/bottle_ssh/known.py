"""The keys of hosts, from the user's own `known_hosts`: nobody else vouches for a host."""

import binascii
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["AUTHORITY", "HostKeys", "find_host_keys", "host_text", "known_files"]

AUTHORITY, REVOKED = "@cert-authority", "@revoked"


class HostKeys(NamedTuple):
    """What is known of a host: lines as a `known_hosts` has them, with the host's name in plain text.

    `keys` and `authorities` are blobs: of the host itself, and of who may certify it.
    """

    lines: tuple[str, ...]
    keys: frozenset[bytes]
    authorities: frozenset[bytes]


def known_files(home: Path) -> tuple[Path, ...]:
    """Return the files in which OpenSSH looks without further settings, those that are there."""
    own = [home / ".ssh" / name for name in ("known_hosts", "known_hosts2")]
    return tuple(path for path in (*own, Path("/etc/ssh/ssh_known_hosts")) if path.is_file())


def host_text(host: str, port: int) -> str:
    """Return how a `known_hosts` names a host at a port."""
    return host if port == 22 else f"[{host}]:{port}"  # noqa: PLR2004 - SSH's own


def find_host_keys(host: str, port: int, files: Sequence[Path]) -> HostKeys:
    """Return what the files know of a host. `ssh-keygen` looks: an entry may be hashed, or a pattern."""
    text = host_text(host, port)
    found: dict[tuple[str, str, str], None] = {}
    for file in files:
        argv = ["ssh-keygen", "-F", text, "-f", str(file)]
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
        found |= dict.fromkeys(entry for line in done.stdout.splitlines() if (entry := read_line(line)))
    revoked = {blob for marker, _, blob in found if marker == REVOKED}
    good = [entry for entry in found if entry[0] == REVOKED or entry[2] not in revoked]
    return HostKeys(
        lines=tuple(" ".join(part for part in (marker, text, kind, blob) if part) for marker, kind, blob in good),
        keys=frozenset(binascii.a2b_base64(blob) for marker, _, blob in good if not marker),
        authorities=frozenset(binascii.a2b_base64(blob) for marker, _, blob in good if marker == AUTHORITY),
    )


def read_line(line: str) -> tuple[str, str, str] | None:
    """Return marker, kind and blob of a line; None for one that is no entry."""
    words = line.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#") or marker not in {"", AUTHORITY, REVOKED}:  # noqa: PLR2004 - names, kind, key
        return None
    try:
        binascii.a2b_base64(words[2], strict_mode=True)
    except ValueError:
        return None
    return marker, words[1], words[2]
