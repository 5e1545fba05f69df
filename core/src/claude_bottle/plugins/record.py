"""One installed plugin as its metadata describe it, the row that feeds table and JSON alike, and what a load found."""

from typing import Literal

from msgspec import Struct

from claude_bottle.errors import BottleError
from claude_bottle.seam.kinds import Kind

__all__ = ["Outcome", "Record", "Status", "Unreadable", "failure"]

Status = Literal["available", "active", "blocked", "conflict", "incompatible", "failed", "untrusted"]
"""`available` can be selected; each of the others says in `reason` why not, and in `fix` what to do.

An inventory has no others than these; a diagnosis adds `active`, what `bottle start` takes here unless a flag or
a manifest says otherwise, and `failed`, what could not be loaded the last time.
"""


class Record(Struct, frozen=True, kw_only=True):
    """A plugin of which nothing has been imported.

    `target` is `module:attribute`; `origin` is `wheel`, `editable`, `url` (named to the installer by its
    address or path) or `unknown`; `requires` is the range of core's version that the distribution asks for, empty
    where it asks for none; `duplicates` are other places that have the same distribution, and are passed over;
    `trusted_by` is empty where nobody vouches for it.
    """

    name: str
    kind: Kind
    distribution: str
    version: str
    target: str
    origin: str
    location: str
    requires: str = ""
    duplicates: tuple[str, ...] = ()
    first_party: bool = False
    trusted_by: str = ""
    status: Status = "available"
    reason: str = ""
    fix: str = ""

    @property
    def refusal(self) -> str:
        """Why it may not take part, in a sentence; of one that is not available."""
        return f"{self.kind} {self.name} of {self.distribution} cannot be used: {self.reason}"


class Unreadable(Struct, frozen=True, kw_only=True):
    """A distribution that says it has plugins, and whose metadata cannot be understood; `location` is their folder."""

    location: str
    reason: str
    fix: str


class Outcome(Struct, frozen=True, kw_only=True):
    """What a load found: the hooks and what of them goes, or the error and what to do about it.

    `seconds` its import took, and `modules` it added to those that core has; None where nobody measured.
    `time` is in seconds since the epoch.
    """

    hooks: tuple[str, ...] = ()
    going: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""
    seconds: float | None = None
    modules: int | None = None
    time: float = 0.0


def failure(record: Record, error: BottleError) -> Outcome:
    """Return the outcome of a load that failed."""
    who = f"{record.kind} {record.name} ({record.distribution} {record.version}): "
    return Outcome(error=error.message.removeprefix(who), hint=error.hint or "")
