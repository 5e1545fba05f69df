"""One installed plugin as its metadata describe it: the row that feeds table and JSON alike."""

from typing import Literal

from msgspec import Struct

from claude_bottle.seam.kinds import Kind

__all__ = ["Record", "Status"]

Status = Literal["available", "blocked", "conflict", "incompatible", "untrusted"]
"""`available` can be selected; each of the others says in `reason` why not, and in `fix` what to do."""


class Record(Struct, frozen=True, kw_only=True):
    """A plugin of which nothing has been imported.

    `target` is `module:attribute`; `origin` is `wheel`, `editable` or `unknown`; `requires` is the range of
    core's version that the distribution asks for, empty where it asks for none; `trusted_by` is empty where
    nobody vouches for it.
    """

    name: str
    kind: Kind
    distribution: str
    version: str
    target: str
    origin: str
    location: str
    requires: str = ""
    first_party: bool = False
    trusted_by: str = ""
    status: Status = "available"
    reason: str = ""
    fix: str = ""
