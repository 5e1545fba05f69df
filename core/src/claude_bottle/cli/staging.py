"""The backend on which `bottle plugins conform` tries what is no backend."""

from collections.abc import Sequence

from claude_bottle.cli.diagnosing import rows_named
from claude_bottle.errors import PluginError, Problem, UnavailableError, UsageError
from claude_bottle.launch.team import machine_problems, pair_faults, pairing_problems
from claude_bottle.plugins.inventory import Inventory
from claude_bottle.plugins.load import Loaded, load
from claude_bottle.plugins.record import Record

__all__ = ["choose_stage", "find_one"]


def find_one(name: str, inventory: Inventory) -> Record:
    """Return the one plugin of this name that may be loaded."""
    rows = rows_named(name, inventory)
    usable = [row for row in rows if row.status == "available"]
    if not usable:
        row = rows[0]
        raise PluginError(row.name, f"{row.kind} {row.name} of {row.distribution}: {row.reason}", row.fix)
    if len(usable) > 1:
        full = ", ".join(f"{row.kind}/{row.name}" for row in usable)
        raise UsageError(f"{name} is more than one plugin", f"name one: {full}")
    return usable[0]


def choose_stage(plugin: Record, wish: str | None, inventory: Inventory) -> Record | None:
    """Return the backend that is wished for, else one that a proxy goes with by default; None is the kit's own.

    UnavailableError where nothing can be tried: the two do not go together, or not on this machine.
    """
    if wish is not None and plugin.kind == "backend":
        raise UsageError("a backend is its own stage", "leave --stage out")
    if wish is not None:
        row = find_one(f"backend/{wish}", inventory)
        _check(plugin, wish, _problems(plugin, load(row)))
        return row
    if plugin.kind != "proxy":
        return None
    partners = [pair.backend for pair in inventory.defaults.preference if pair.proxy == plugin.name]
    rows = [row for row in inventory.usable("backend") if row.name in partners]
    if not rows:
        _check(plugin, "the kit's own backend", _own_problems(load(plugin)))
        return None
    found = {row: _problems(plugin, load(row)) for row in rows}
    best = min(rows, key=lambda row: len(found[row]))
    _check(plugin, best.name, found[best])
    return best


def _check(plugin: Record, where: str, problems: Sequence[Problem]) -> None:
    if problems:
        what = "; ".join(problem.message for problem in problems)
        hint = problems[0].hint or "name another backend with --stage"
        raise UnavailableError(f"{plugin.name} cannot be tried on {where}: {what}", hint)


def _problems(plugin: Record, backend: Loaded) -> Sequence[Problem]:
    """Return what keeps a plugin from this backend, of the two or of this machine."""
    if plugin.kind != "proxy":
        return machine_problems([backend])
    proxy = load(plugin)
    return pairing_problems(backend, proxy) or [*machine_problems([backend, proxy]), *pair_faults(backend, proxy)]


def _own_problems(proxy: Loaded) -> Sequence[Problem]:
    """Return the same of the kit's own backend, whose mark is no obstacle here."""
    from claude_bottle.testing.contract import load_target  # noqa: PLC0415 - needs pytest
    from claude_bottle.testing.local import TARGET  # noqa: PLC0415 - the kit is loaded where it is used

    traits = proxy.plugin.proxy_traits
    if traits is not None and "process" not in traits.runs:
        return [Problem("it is not run as a process", "name a backend that has images with --stage")]
    return [*machine_problems([proxy]), *pair_faults(load_target("backend", "local", TARGET), proxy)]
