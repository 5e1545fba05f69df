"""What the commands of `bottle plugins` know of this machine: the user's wishes, and what loads found."""

import os
from collections.abc import Sequence

from claude_bottle.errors import PluginError
from claude_bottle.manifest.config import UserConfig, load_config
from claude_bottle.manifest.names import nearest
from claude_bottle.plugins.diagnosis import Asked, Probe
from claude_bottle.plugins.inventory import Inventory
from claude_bottle.plugins.memory import Memory
from claude_bottle.plugins.record import Outcome, Record
from claude_bottle.plugins.select import BACKEND_VARIABLE, PROXY_VARIABLE, Wishes
from claude_bottle.seam.folders import config_dir, state_dir

__all__ = ["ask_user", "load_all", "look", "matching", "open_memory", "rows_named"]


def open_memory() -> Memory:
    """Return what the user's last loads found."""
    return Memory(state_dir())


def ask_user(probe: Probe | None = None) -> Asked:
    """Return what environment and configuration say of backend and proxy."""
    config: UserConfig = load_config(config_dir())
    return Asked(
        Wishes(environment=os.environ.get(BACKEND_VARIABLE), config=config.backend),
        Wishes(environment=os.environ.get(PROXY_VARIABLE), config=config.proxy),
        probe,
    )


def load_all(records: Sequence[Record], deadline: float | None = None) -> dict[Record, Outcome]:
    """Load each plugin in a process of its own, and remember what that found."""
    from claude_bottle.launch.examine import LOAD_DEADLINE, examine  # noqa: PLC0415 - a list loads nothing

    outcomes = examine(records, deadline or LOAD_DEADLINE)
    open_memory().note(outcomes)
    return outcomes


def look(inventory: Inventory) -> Probe:
    """Return what knows whether each backend of the preference is present here."""
    from claude_bottle.launch.examine import present, probe_each  # noqa: PLC0415 - --load alone looks

    order = {pair.backend for pair in inventory.defaults.preference}
    known = present(probe_each([row for row in inventory.usable("backend") if row.name in order]))
    return known.__getitem__


def matching(name: str, inventory: Inventory) -> tuple[Record, ...]:
    """Return the plugins of a name, a distribution or either as `KIND/NAME`."""
    kind, _, rest = name.rpartition("/")
    return tuple(row for row in inventory.of(rest) if kind in ("", row.kind))


def rows_named(name: str, inventory: Inventory) -> tuple[Record, ...]:
    """Return the same; PluginError, with what is near, if there are none."""
    if rows := matching(name, inventory):
        return rows
    _, _, rest = name.rpartition("/")
    known = sorted({row.name for row in inventory.records})
    close = nearest(rest, known)
    raise PluginError(
        name,
        f"no plugin {name} is installed",
        f"did you mean {close}?" if close else f"installed: {', '.join(known) or 'none'}",
    )
