"""The two declarations of the hooks are one, and every kind's hooks exist."""

import inspect

from claude_bottle.declare import KIND_HOOKS
from claude_bottle.hookspecs import Hooks, Specs


def names(owner: type) -> dict[str, list[tuple[str, str]]]:
    """Return each hook's parameters without `self` and its result, with their types, in order."""
    functions = inspect.getmembers(owner, inspect.isfunction)
    public = ((name, function) for name, function in functions if not name.startswith("_"))
    return {name: list(function.__annotations__.items()) for name, function in public}


def test_specs_and_protocol_are_equal() -> None:
    """What pluggy checks and what a type checker checks have the same hooks, parameters, types and results."""
    assert names(Specs) == names(Hooks)


def test_calls_are_by_keyword() -> None:
    """A positional call of a hook does not type-check: every parameter of the Protocol is keyword-only."""
    for name in names(Hooks):
        parameters = list(inspect.signature(getattr(Hooks, name)).parameters.values())[1:]
        assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters)


def test_every_hook_belongs_to_a_kind() -> None:
    """No kind has a hook that there is not, and no hook is there for nobody."""
    assert set().union(*KIND_HOOKS.values()) == set(names(Specs))


def test_the_five_names_of_the_design_are_there() -> None:
    """The five fixed hook names stay as they are."""
    assert {"validate", "resolve_plan", "provision_ca", "provision_skills", "start_proxy"} <= set(names(Specs))
