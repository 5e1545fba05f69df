"""What the kit's own proxy is told, as a file in its folder."""

from collections.abc import Mapping

from msgspec import Struct

from claude_bottle.seam.levels import HostRule

__all__ = ["POLICY", "RECORD", "Policy"]

POLICY, RECORD = "policy.json", "record"
"""The file, and the folder in which the proxy keeps what it said."""


class Policy(Struct, frozen=True, kw_only=True):
    """What is allowed, where it is dialled, and whose certificates are believed (PEM)."""

    rules: tuple[HostRule, ...]
    hosts: Mapping[str, str]
    trusted: str
