"""Who imports whom: the layers of core, and plugins that do not know one another."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

LINTER = Path(sys.executable).with_name("lint-imports")


def members(root: Path) -> list[str]:
    """The import packages of the workspace, one per distribution."""
    return sorted(path.parent.name for path in root.glob("*/src/*/__init__.py")) + sorted(
        path.parent.name for path in root.glob("plugins/*/src/*/__init__.py")
    )


def imported(tree: ast.AST) -> set[str]:
    """The top-level names that a module imports, at its start or later."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def test_the_contracts_hold(root: Path) -> None:
    """The contracts on imports, which stand with the settings of the tools, are kept."""
    answer = subprocess.run([LINTER, "--no-cache"], cwd=root, check=False, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_contracts_cover_every_distribution(root: Path) -> None:
    """A new member of the workspace is under the contracts from its first day."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert sorted(settings["root_packages"]) == sorted(members(root))
    independence = next(c for c in settings["contracts"] if c["type"] == "independence")
    assert sorted(independence["modules"]) == [name for name in sorted(members(root)) if name.startswith("bottle_")]


def test_plugins_do_not_import_one_another(root: Path, python_files: list[Path]) -> None:
    """A plugin uses core's seam and nothing of another plugin, in its sources and in its tests."""
    plugins = {path.parent.name: path.parents[2] for path in root.glob("plugins/*/src/*/__init__.py")}
    assert plugins
    hits = [
        f"{path.relative_to(root)} imports {other}"
        for name, folder in plugins.items()
        for path in python_files
        if path.is_relative_to(folder)
        for other in imported(ast.parse(path.read_text())) & (set(plugins) - {name})
    ]
    assert hits == []


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("import claude_bottle.launch", "inside core, imports go one way"),
        ("import requests", "core knows no plugin, no engine and no web client"),
        ("import bottle_bwrap", "core knows no plugin, no engine and no web client"),
    ],
)
def test_a_breach_of_a_contract_is_found(root: Path, tmp_path: Path, line: str, broken: str) -> None:
    """The contracts, as they are written, refuse an import that goes the wrong way."""
    for name in members(root):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    core = tmp_path / "claude_bottle"
    for layer in ("launch", "seam", "errors"):
        (core / f"{layer}.py").touch()
    (core / "seam.py").write_text(line)
    (tmp_path / "pyproject.toml").write_text((root / "pyproject.toml").read_text())
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
        "--no-cache",
    ]
    answer = subprocess.run(
        command, cwd=tmp_path, check=False, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)}
    )
    assert f"{broken} BROKEN" in answer.stdout, answer.stdout + answer.stderr
