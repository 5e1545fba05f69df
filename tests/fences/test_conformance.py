"""Every plugin of ours runs the conformance kit for its kind."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def plugins() -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and target of each entry point of ours."""
    for path in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        for group, points in tomllib.loads(path.read_text())["project"].get("entry-points", {}).items():
            for name, target in points.items():
                yield group.removeprefix("claude_bottle."), name, target


def kept_contracts() -> set[tuple[str, str, str]]:
    """Return kind, name and target of each class that inherits a contract."""
    found: set[tuple[str, str, str]] = set()
    for path in ROOT.glob("plugins/*/tests/test_conformance.py"):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.ClassDef):
                continue
            bases = {ast.unparse(base) for base in node.bases}
            pair = next(
                it for it in node.body if isinstance(it, ast.Assign) and ast.unparse(it.targets[0]) == "(name, target)"
            )
            name, target = ast.literal_eval(pair.value)
            found |= {(base.removesuffix("Contract").lower(), name, target) for base in bases}
    return found


@pytest.mark.parametrize("plugin", list(plugins()), ids=lambda plugin: f"{plugin[0]}-{plugin[1]}")
def test_a_plugin_of_ours_runs_the_kit(plugin: tuple[str, str, str]) -> None:
    """Fence 6: its tests have a subclass of the contract of its kind, with its name and target."""
    assert plugin in kept_contracts()
