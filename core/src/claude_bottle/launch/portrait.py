"""All that one plugin says of itself: its options, its traits, its hooks."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from claude_bottle.errors import BottleError
from claude_bottle.launch.examine import LOAD_DEADLINE
from claude_bottle.launch.isolate import isolated
from claude_bottle.plugins.load import load, refused
from claude_bottle.plugins.options import Option, options
from claude_bottle.plugins.record import Record

__all__ = ["Portrait", "portray"]


class Portrait(Struct, frozen=True, kw_only=True):
    """What only the loaded plugin can say."""

    options: tuple[Option, ...]
    traits: Mapping[str, Any]


def portray(record: Record, deadline: float = LOAD_DEADLINE) -> Portrait:
    """Return what a plugin says of itself, loaded in a process of its own; BottleError if it cannot be loaded."""
    [answer] = isolated([lambda: _portray(record)], Portrait, deadline)
    if isinstance(answer, BottleError):
        raise answer
    return answer


def _portray(record: Record) -> Portrait:
    plugin = load(record).plugin
    traits = plugin.backend_traits or plugin.proxy_traits
    try:
        found = options(plugin.section)
    except (TypeError, ValueError) as error:
        raise refused(record, f"its section has no schema: {error}") from error
    return Portrait(options=found, traits=msgspec.to_builtins(traits) if traits else {})
