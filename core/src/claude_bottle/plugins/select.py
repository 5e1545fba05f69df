"""Which backend, which proxy: flag, environment, manifest, user configuration, preference, in this order."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from claude_bottle.errors import BottleError, PluginError
from claude_bottle.manifest.names import nearest
from claude_bottle.plan.spec import Choice
from claude_bottle.plugins.inventory import Inventory
from claude_bottle.plugins.record import Record
from claude_bottle.seam.kinds import Kind
from claude_bottle.seam.probe import ProbeResult

__all__ = [
    "BACKEND_VARIABLE",
    "PREFERENCE",
    "PROXY_VARIABLE",
    "Wishes",
    "choose_backend",
    "choose_proxy",
    "find_record",
]

Probe = Callable[[Record], ProbeResult]

PREFERENCE = "preference"
"""How a choice by availability begins to say why."""

BACKEND_VARIABLE, PROXY_VARIABLE = "CLAUDE_BOTTLE_BACKEND", "CLAUDE_BOTTLE_PROXY"


class Wishes(NamedTuple):
    """What each source says of one kind; None where it says nothing."""

    flag: str | None = None
    environment: str | None = None
    manifest: str | None = None
    config: str | None = None

    def first(self, variable: str) -> Choice | None:
        """Return the wish of the strongest source, and who that is."""
        sources = (
            (self.flag, "flag"),
            (self.environment, variable),
            (self.manifest, "manifest"),
            (self.config, "user config"),
        )
        return next((Choice(name, why) for name, why in sources if name), None)


def choose_backend(wishes: Wishes, inventory: Inventory, probe: Probe) -> Choice:
    """Return the backend and why; by availability only what the default set's data name.

    One that is there but broken is an error, never passed over: that would change isolation in silence.
    """
    if wish := wishes.first(BACKEND_VARIABLE):
        return wish
    passed: list[str] = []
    for pair in inventory.defaults.preference:
        rows = inventory.named("backend", pair.backend)
        usable = [row for row in rows if row.status == "available"]
        if not usable:
            passed.append(f"{pair.backend} is {rows[0].status if rows else 'not installed'}")
            continue
        if probe(usable[0]).state == "absent":
            passed.append(f"{pair.backend} is not present")
            continue
        return Choice(pair.backend, "; ".join([PREFERENCE, *passed]))
    raise BottleError(
        "no backend was chosen, and none can be picked here" + _why(passed), _name_one("backend", inventory)
    )


def choose_proxy(wishes: Wishes, inventory: Inventory, backend: str) -> Choice:
    """Return the proxy and why; by default the one that goes with the backend."""
    if wish := wishes.first(PROXY_VARIABLE):
        return wish
    if (name := inventory.defaults.proxy_for(backend)) is not None:
        return Choice(name, f"goes with {backend}")
    raise BottleError(f"no proxy was chosen for backend {backend}", _name_one("proxy", inventory))


def find_record(kind: Kind, choice: Choice, inventory: Inventory) -> Record:
    """Return the one installed plugin of this name; PluginError if there is none, or it may not be used."""
    rows = inventory.named(kind, choice.name)
    if good := [row for row in rows if row.status == "available"]:
        return good[0]
    if rows:
        raise PluginError(choice.name, rows[0].refusal, rows[0].fix)
    known = sorted({row.name for row in inventory.records if row.kind == kind})
    close = nearest(choice.name, known)
    hint = f"did you mean {close}?" if close else _name_one(kind, inventory)
    raise PluginError(choice.name, f"{kind} {choice.name} is not installed (chosen by: {choice.why})", hint)


def _why(passed: Sequence[str]) -> str:
    return f" ({'; '.join(passed)})" if passed else ""


def _name_one(kind: Kind, inventory: Inventory) -> str:
    names = sorted({row.name for row in inventory.records if row.kind == kind})
    if not names:
        return f"no {kind} is installed: pip install claude-bottle"
    where = "in the manifest" if kind == "agent" else f"with --{kind} or in the manifest"
    return f"name one {where}; installed: {', '.join(names)}"
