"""What is said of the other backends, where this machine cannot run the one that nobody named."""

import pytest
from core_stage import Stage
from msgspec.structs import replace

from claude_bottle.errors import Problem
from claude_bottle.launch.choose import with_others
from claude_bottle.plan.spec import Choice
from claude_bottle.plugins.defaults import Pair

FAULTS = [Problem("the first", "mend it"), Problem("the last", "try it")]


@pytest.mark.parametrize(
    ("backend", "hints"),
    [
        (
            Choice("one", "preference: one is there"),
            ["mend it", "try it; or take another backend: --backend two or three"],
        ),
        (Choice("one", "flag"), ["mend it", "try it"]),
    ],
)
def test_others_are_named_at_the_end_where_nobody_chose(stage: Stage, backend: Choice, hints: list[str]) -> None:
    """S18: all but the one at fault, and none where a user named it."""
    sources = stage.prepared().sources
    pairs = tuple(Pair(backend=name, proxy="way") for name in ("one", "two", "three"))
    inventory = sources.inventory._replace(defaults=replace(sources.inventory.defaults, preference=pairs))
    said = with_others(FAULTS, backend, sources._replace(inventory=inventory))
    assert [(it.message, it.hint) for it in said] == list(zip(["the first", "the last"], hints, strict=True))
    assert with_others([], backend, sources._replace(inventory=inventory)) == []
