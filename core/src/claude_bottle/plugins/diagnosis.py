"""Every installed plugin with what is known of it: what selects it here, why not, and what its last load found."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from claude_bottle.errors import BottleError
from claude_bottle.plan.spec import Choice
from claude_bottle.plugins.inventory import Inventory
from claude_bottle.plugins.record import Outcome, Record
from claude_bottle.plugins.select import BACKEND_VARIABLE, PROXY_VARIABLE, Wishes, choose_backend, choose_proxy
from claude_bottle.seam.probe import ProbeResult

__all__ = ["Asked", "Row", "Told", "diagnose"]

Probe = Callable[[Record], ProbeResult]
LABELS = {BACKEND_VARIABLE: "environment", PROXY_VARIABLE: "environment", "user config": "config.yaml"}


class Row(Record, frozen=True, kw_only=True):
    """A plugin as `bottle plugins list` shows it.

    `selected`: whether `bottle start` takes it here by environment, user configuration or preference; None where
    only a look at the machine can tell. `by` is what selects it, in a word, `why` the whole reason.
    `hooks` are those it implements, None where no load has found that out. `import_seconds` its import took,
    `modules` it added to core's. `loaded` is when that was found, in seconds since the epoch.
    """

    selected: bool | None = False
    by: str = ""
    why: str = ""
    hooks: tuple[str, ...] | None = None
    import_seconds: float | None = None
    modules: int | None = None
    loaded: float | None = None


class Asked(NamedTuple):
    """What environment and configuration say of backend and proxy; `probe` None: the machine is not looked at."""

    backend: Wishes = Wishes()
    proxy: Wishes = Wishes()
    probe: Probe | None = None


class Told(NamedTuple):
    """What selects one plugin, why, and whether it is selected here."""

    by: str
    why: str
    selected: bool | None = False


class _Picked(NamedTuple):
    """The backend or proxy that is taken here; no choice: `why` says what prevents it, or empty: it is not known."""

    choice: Choice | None
    why: str = ""


def diagnose(inventory: Inventory, asked: Asked, outcomes: Mapping[Record, Outcome]) -> tuple[Row, ...]:
    """Return a row for each plugin; nothing is imported but by `asked.probe`."""
    backend = _pick_backend(inventory, asked)
    proxy = _pick_proxy(inventory, asked, backend)
    rows: list[Row] = []
    for record in inventory.records:
        told = _tell(record, inventory, backend, proxy, asked.probe)
        rows.append(_row(record, told, outcomes.get(record)))
    return tuple(rows)


def _row(record: Record, told: Told, outcome: Outcome | None) -> Row:
    row = Row(**msgspec.structs.asdict(record), selected=told.selected, by=told.by, why=told.why)
    if outcome is not None:
        hooks = None if outcome.error else outcome.hooks
        known = {"hooks": hooks, "import_seconds": outcome.seconds, "modules": outcome.modules, "loaded": outcome.time}
        row = msgspec.structs.replace(row, **known)
    if record.status != "available":
        return row
    if outcome is not None and outcome.error:
        fix = f"{outcome.hint}; then: bottle plugins check {record.name}"
        return msgspec.structs.replace(row, status="failed", reason=outcome.error, fix=fix)
    return msgspec.structs.replace(row, status="active") if told.selected else row


def _pick_backend(inventory: Inventory, asked: Asked) -> _Picked:
    if (wish := asked.backend.first(BACKEND_VARIABLE)) is not None:
        return _Picked(wish)
    if asked.probe is None:
        return _Picked(None)
    try:
        return _Picked(choose_backend(asked.backend, inventory, asked.probe))
    except BottleError as error:
        return _Picked(None, error.message)


def _pick_proxy(inventory: Inventory, asked: Asked, backend: _Picked) -> _Picked:
    if (wish := asked.proxy.first(PROXY_VARIABLE)) is not None:
        return _Picked(wish)
    if backend.choice is None:
        return _Picked(None, backend.why)
    try:
        return _Picked(choose_proxy(asked.proxy, inventory, backend.choice.name))
    except BottleError as error:
        return _Picked(None, error.message)


def _tell(record: Record, inventory: Inventory, backend: _Picked, proxy: _Picked, probe: Probe | None) -> Told:
    if record.status != "available":
        return Told("", f"{record.status}: {record.reason}")
    match record.kind:
        case "agent":
            return Told("manifest", f"`agent: {record.name}` in a manifest")
        case "provisioner":
            return Told("manifest", f"the key `{record.name}` in a manifest")
        case "backend":
            known = _chosen(record, backend) or _absent(record, inventory, probe) or _passed_over(record, backend)
            return known or _tell_backend(record, inventory)
        case "proxy":
            return _chosen(record, proxy) or _passed_over(record, proxy) or _tell_proxy(record, inventory)


def _chosen(record: Record, picked: _Picked) -> Told | None:
    """Return who chose a plugin; None if it is not chosen."""
    if picked.choice is None or picked.choice.name != record.name:
        return None
    reason = picked.choice.why.partition("; ")[0]
    return Told(LABELS.get(reason, "preference"), picked.choice.why, selected=True)


def _absent(record: Record, inventory: Inventory, probe: Probe | None) -> Told | None:
    """Return why a backend of the preference is not present; None if it is, or nobody has looked."""
    if probe is None or record.name not in {pair.backend for pair in inventory.defaults.preference}:
        return None
    result = probe(record)
    if result.state != "absent":
        return None
    reasons = [f"{it.what}: {it.detail}" if it.detail else it.what for it in result.findings if not it.ok]
    found = f" ({'; '.join(reasons)})" if reasons else ""
    return Told("absent", f"not present here{found}; by --backend or a manifest")


def _passed_over(record: Record, picked: _Picked) -> Told | None:
    """Return who is taken instead, or why nobody is; None if that is not known."""
    if picked.choice is None:
        return Told("name", picked.why) if picked.why else None
    reason = picked.choice.why.partition("; ")[0]
    return Told("name", f"{picked.choice.name} is taken: {reason}; by --{record.kind} or a manifest")


def _tell_backend(record: Record, inventory: Inventory) -> Told:
    """Return what is known of a backend whose machine nobody has looked at."""
    order = [pair.backend for pair in inventory.defaults.preference]
    if record.name not in order:
        return _by_name(record)
    place = order.index(record.name) + 1
    before = "".join(f" and {name} is not" for name in order[: place - 1])
    why = f"place {place} in the order of preference: taken if it is present here{before}; --load looks"
    return Told(f"preference {place}", why, selected=None)


def _tell_proxy(record: Record, inventory: Inventory) -> Told:
    """Return what is known of a proxy where the backend is not known yet."""
    backends = [pair.backend for pair in inventory.defaults.preference if pair.proxy == record.name]
    if not backends:
        return _by_name(record)
    why = f"goes with {' or '.join(backends)}, if that is taken; --load looks"
    return Told(f"with {backends[0]}", why, selected=None)


def _by_name(record: Record) -> Told:
    where = f"--{record.kind}, CLAUDE_BOTTLE_{record.kind.upper()}, a manifest or config.yaml"
    return Told("name", f"not in the order of preference: by {where}")
