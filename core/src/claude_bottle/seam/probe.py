"""What a look at this machine found: used by preference, by step 1 and by `bottle doctor`."""

from typing import Literal

from msgspec import Struct

__all__ = ["Finding", "ProbeResult"]


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was looked at: `ok`, or what is wrong and the cure."""

    what: str
    ok: bool
    detail: str = ""
    cure: str | None = None


class ProbeResult(Struct, frozen=True, kw_only=True):
    """What a backend or proxy needs of this machine.

    `state`: `ready`; `absent`, what it drives is not installed here at all, so a preference passes on;
    `broken`, it is there but cannot work, which a preference never passes over in silence.
    """

    state: Literal["ready", "absent", "broken"]
    findings: tuple[Finding, ...] = ()
