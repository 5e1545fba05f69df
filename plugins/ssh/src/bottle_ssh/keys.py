"""The keys that a manifest names, as they lie on this machine: in a file, or with the user's own ssh-agent."""

import binascii
import os
import stat
from pathlib import Path
from typing import NamedTuple

from claude_bottle.errors import Problem

__all__ = ["Identity", "find_identity"]

MAGIC = b"openssh-key-v1\0"
PUBLIC = ("ssh-", "ecdsa-", "sk-")


class Identity(NamedTuple):
    """A key. `path` is its private file, or the public one where the user's own ssh-agent has the private part.

    `public` are the blobs that such an agent is to be asked for: the key, and its certificate if there is one.
    """

    path: Path
    encrypted: bool = False
    public: frozenset[bytes] = frozenset()

    @property
    def with_agent(self) -> bool:
        """Whether the private part is with the user's own ssh-agent."""
        return bool(self.public)


def find_identity(path: Path) -> Identity | Problem:
    """Return the key at a path, or what is wrong with it.

    A public key stands for one that the user's own ssh-agent holds, also where the private file is not there.
    """
    public = path if path.suffix == ".pub" else path.with_name(f"{path.name}.pub")
    try:
        if path != public and (path.exists() or not public.exists()):
            return _private(path)
        blobs = [_public(public), _public(public.with_name(f"{public.stem}-cert.pub"))]
    except FileNotFoundError:
        return Problem(f"there is no key {path}", f"correct the path, or make one: ssh-keygen -t ed25519 -f {path}")
    except OSError as error:
        return Problem(f"the key {path} cannot be read: {error.strerror}", "make it yours, with mode 0600")
    if blobs[0] is None:
        return Problem(f"{public} is no public key" if public.exists() else f"there is no key {path}")
    return Identity(public, public=frozenset(blob for blob in blobs if blob))


def _private(path: Path) -> Identity | Problem:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno())
        text = file.read(1 << 16).decode("ascii", "replace")
    if mode.st_uid == os.getuid() and stat.S_IMODE(mode.st_mode) & 0o077:
        return Problem(f"the key {path} is open to others, so ssh-add refuses it", f"chmod 600 {path}")
    if "PRIVATE KEY-----" not in text:
        return Problem(f"{path} is no private key that OpenSSH reads", "name the file that ssh-keygen made")
    return Identity(path, encrypted=is_encrypted(text))


def is_encrypted(text: str) -> bool:
    """Say whether a private key asks for a passphrase (OpenSSH's PROTOCOL.key; older ones say so in words)."""
    body = "".join(line for line in text.splitlines() if ":" not in line and not line.startswith("-----"))
    try:
        data = binascii.a2b_base64(body)
    except ValueError:
        data = b""
    if data.startswith(MAGIC):
        cipher = data[len(MAGIC) + 4 :][: int.from_bytes(data[len(MAGIC) :][:4])]
        return cipher != b"none"
    return "ENCRYPTED" in text


def _public(path: Path) -> bytes | None:
    """Return the blob in a public key's file; None if there is none."""
    if not path.is_file():
        return None
    words = path.read_text(encoding="utf-8", errors="replace").split()
    if len(words) < 2 or not words[0].startswith(PUBLIC):  # noqa: PLR2004 - kind and blob
        return None
    try:
        return binascii.a2b_base64(words[1], strict_mode=True)
    except ValueError:
        return None
