"""How closely a proxy looks at one host, and the host rules that a plan carries."""

from typing import Literal

from msgspec import Struct

__all__ = ["DlpAction", "HostRule", "HostWish", "Level"]

DlpAction = Literal["block", "warn"]
Level = Literal["block", "warn", "opaque"]
"""`block`: opened, a credential is refused. `warn`: opened, recorded. `opaque`: tunnelled, not opened."""


class HostWish(Struct, frozen=True, kw_only=True):
    """A host that a plugin needs, and how it would like it inspected.

    `host` is a name, `*.name`, an address, or one of them with `:port`. `level` None leaves the choice
    to the bottle. A suggested level concerns opened TLS only: plain HTTP is always scanned.
    """

    host: str
    level: Level | None = None
    why: str = ""


class HostRule(Struct, frozen=True, kw_only=True):
    """What a proxy does for one allowed host.

    `level` holds for TLS, `plain` for plain HTTP (never opaque); `why` says who decided.
    `ports` are all that are open; bytes that are neither TLS nor HTTP pass on `raw_ports` alone (SSH).
    """

    host: str
    level: Level
    plain: DlpAction
    why: str
    ports: tuple[int, ...] = (80, 443)
    raw_ports: tuple[int, ...] = ()
