"""Which of the bottles that run a name means."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest
from core_harness import write_backend

from claude_bottle.errors import NotFoundError
from claude_bottle.launch.bottles import find_bottle
from claude_bottle.plugins.defaults import NO_DEFAULTS
from claude_bottle.plugins.inventory import Inventory

PLUGIN = """
    from types import SimpleNamespace
    from claude_bottle.declare import NoSection, Plugin
    from claude_bottle.hookspecs import hookimpl
    from claude_bottle.seam.traits import BackendTraits
    class Box:
        @hookimpl
        def list_bottles(self):
            return [SimpleNamespace(name=name, slug="reviewer", launch="") for name in {names}]
    PLUGIN = Plugin("backend", Box(), NoSection, backend_traits=BackendTraits(runs="process"))
"""
FIRST, SECOND = "claude-bottle-reviewer", "claude-bottle-reviewer-2"


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """Return two backends: both have a bottle of one name, and one of them a second."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    names = {"one": [FIRST], "other": [FIRST, SECOND]}
    records = [write_backend(tmp_path, name, dedent(PLUGIN.format(names=own))) for name, own in names.items()]
    return Inventory(tuple(records), NO_DEFAULTS)


def test_bottles_of_one_name_are_told_apart_by_their_backend(inventory: Inventory) -> None:
    """The name alone is refused with the words that would do, and each of these means one bottle."""
    with pytest.raises(NotFoundError) as refused:
        find_bottle(FIRST, inventory)
    assert (str(refused.value), refused.value.hint) == (
        f"several bottles of {FIRST} run",
        f"name one: one/{FIRST}, other/{FIRST}",
    )
    found = [find_bottle(f"{backend}/{FIRST}", inventory) for backend in ("one", "other")]
    assert [(it.backend, it.handle.name) for it in found] == [("one", FIRST), ("other", FIRST)]


def test_a_name_that_is_unique_needs_no_backend(inventory: Inventory) -> None:
    """Also beside others that share theirs; what the agent's name means is listed as it can be typed."""
    assert find_bottle(SECOND, inventory).backend == "other"
    with pytest.raises(NotFoundError) as refused:
        find_bottle("reviewer", inventory)
    assert refused.value.hint == f"name one: one/{FIRST}, other/{FIRST}, {SECOND}"
