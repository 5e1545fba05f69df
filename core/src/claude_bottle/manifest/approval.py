"""The store of approved manifests: which file was accepted, with which bytes."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from msgspec import Struct, field

from claude_bottle.manifest.find import Found
from claude_bottle.seam.store import Store

__all__ = ["Approvals", "Status", "is_vouched"]

Status = Literal["approved", "new", "changed"]
"""`changed`: other bytes of this file were approved."""


def nothing() -> Mapping[str, str]:
    """Return what an empty store holds."""
    return MappingProxyType({})


class Approved(Struct, frozen=True, kw_only=True):
    """What the file holds: absolute path to the SHA-256 of the bytes, in hex."""

    version: Literal[1] = 1
    manifests: Mapping[str, str] = field(default_factory=nothing)


class Approvals:
    """What one user has approved, in `approved.json` of a state folder.

    A file that cannot be understood approves nothing. The hash is that of the bytes that were read and shown, so
    a manifest that changes meanwhile is not approved with them.
    """

    def __init__(self, state_dir: Path) -> None:
        self.store = Store(state_dir / "approved.json", Approved())

    def status(self, path: Path, sha256: str) -> Status:
        """Return how a manifest with these bytes stands."""
        known = self.store.read().manifests.get(key(path))
        if known is None:
            return "new"
        return "approved" if known == sha256 else "changed"

    def approve(self, path: Path, sha256: str) -> None:
        """Note that the user accepts a manifest with these bytes, in place of any others."""
        self.store.change(lambda old: Approved(manifests={**old.manifests, key(path): sha256}))


def key(path: Path) -> str:
    """Return the name under which a path is approved: a link stands for the file behind it."""
    return os.path.realpath(path)


def is_vouched(found: Found, config_dir: Path) -> bool:
    """Whether `--yes` may accept a manifest that was never approved.

    True for one named with `--file`, and for one in the user's own configuration folder.
    """
    return found.how == "flag" or Path(key(found.path)).parent == Path(key(config_dir))
