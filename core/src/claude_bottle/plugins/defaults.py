"""The default set as data: order of preference, which proxy goes with which backend, reserved names."""

from msgspec import Struct

from claude_bottle.seam.kinds import Kind

__all__ = ["NO_DEFAULTS", "Defaults", "Pair", "Reserved"]


class Pair(Struct, frozen=True):
    """A backend that may be picked by availability, and the proxy that goes with it."""

    backend: str
    proxy: str


class Reserved(Struct, frozen=True):
    """A plugin name that belongs to one distribution, which is trusted."""

    kind: Kind
    name: str
    distribution: str


class Defaults(Struct, frozen=True, kw_only=True):
    """What the `claude-bottle` distribution says; core itself names no plugin."""

    preference: tuple[Pair, ...] = ()
    reserved: tuple[Reserved, ...] = ()

    def owner(self, kind: Kind, name: str) -> str | None:
        """Return the distribution to which a name belongs, None if it is free."""
        return next((row.distribution for row in self.reserved if (row.kind, row.name) == (kind, name)), None)

    def proxy_for(self, backend: str) -> str | None:
        """Return the proxy that goes with a backend, None if the data do not know it."""
        return next((pair.proxy for pair in self.preference if pair.backend == backend), None)


NO_DEFAULTS = Defaults()
