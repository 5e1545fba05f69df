"""Whose plugins may be imported, beside the default set's: what the user's lock or the environment names."""

import re
from collections.abc import Mapping
from importlib.metadata import Distribution
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct, field

from claude_bottle.manifest.config import UserConfig
from claude_bottle.manifest.types import nothing

if TYPE_CHECKING:
    from claude_bottle.seam.store import Store

__all__ = ["TRUST_VARIABLE", "Lock", "Locked", "Rules", "fingerprint", "normalise", "open_lock", "read_rules"]

LOCK_NAME = "plugins.lock"
TRUST_VARIABLE = "CLAUDE_BOTTLE_TRUST"
"""Names of distributions, with commas between them: for CI, where nobody can be asked."""


class Locked(Struct, frozen=True, kw_only=True):
    """A distribution as the user saw it: its version, and the SHA-256 of its RECORD, in hex."""

    version: str
    sha256: str


class Lock(Struct, frozen=True, kw_only=True):
    """What `plugins.lock` holds, by distribution."""

    version: Literal[1] = 1
    distributions: Mapping[str, Locked] = field(default_factory=nothing)


class Rules(NamedTuple):
    """All that decides which installed plugins may be selected; every name is in its comparable form.

    `blocked` are plugins or distributions, `pins` a distribution for the name of a plugin.
    """

    locked: Mapping[str, Locked] = nothing()
    named: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()
    pins: Mapping[str, str] = nothing()


def read_rules(config: UserConfig, config_dir: Path, environ: Mapping[str, str]) -> Rules:
    """Return what configuration, lock and environment say. A lock that cannot be understood trusts nobody."""
    named = (normalise(name.strip()) for name in environ.get(TRUST_VARIABLE, "").split(","))
    lock = open_lock(config_dir).read() if (config_dir / LOCK_NAME).exists() else Lock()
    return Rules(
        locked=lock.distributions,
        named=frozenset(name for name in named if name),
        blocked=frozenset(map(normalise, config.block)),
        pins={normalise(name): normalise(owner) for name, owner in config.pin.items()},
    )


def open_lock(config_dir: Path) -> "Store[Lock]":
    """Return the user's lock, which need not exist."""
    from claude_bottle.seam.store import Store  # noqa: PLC0415 - most users have none

    return Store(config_dir / LOCK_NAME, Lock())


def normalise(name: str) -> str:
    """Return a distribution's name in its one comparable form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def fingerprint(distribution: Distribution) -> str:
    """Return the SHA-256 of a distribution's RECORD, in hex; of its other metadata where it has none."""
    from hashlib import sha256  # noqa: PLC0415 - for strangers alone

    names = ("RECORD",) if distribution.read_text("RECORD") else ("METADATA", "entry_points.txt")
    return sha256("\0".join(distribution.read_text(name) or "" for name in names).encode()).hexdigest()
