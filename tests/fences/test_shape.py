"""The shape of the code: short modules and functions, explicit outcomes, tests that state a behaviour."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MODULE_LINES = 300
TEST_LINES = 400
FUNCTION_LINES = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef
Rule = Callable[[ast.AST], list[int]]


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method of a module, nested ones too."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def long_functions(tree: ast.AST) -> list[int]:
    """Lines at which a function begins that is longer than the limit."""
    return [f.lineno for f in functions(tree) if (f.end_lineno or 0) - f.lineno >= FUNCTION_LINES]


def unchecked_runs(tree: ast.AST) -> list[int]:
    """S8: lines that call `subprocess.run` without saying what a failure of the program means."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if ast.unparse(call.func) in {"subprocess.run", "sp.run"} and "check" not in {k.arg for k in call.keywords}
    ]


def bare_run_imports(tree: ast.AST) -> list[int]:
    """Lines that import `run` by itself, which would hide its calls from `unchecked_runs`."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "subprocess"]
    return [node.lineno for node in imports if "run" in {alias.name for alias in node.names}]


def silent_tests(tree: ast.AST) -> list[int]:
    """Lines at which a test begins that has no docstring."""
    return [f.lineno for f in functions(tree) if f.name.startswith("test_") and not ast.get_docstring(f)]


RULES = [long_functions, unchecked_runs, bare_run_imports, silent_tests]


@pytest.fixture(scope="session")
def trees(python_files: list[Path]) -> dict[Path, ast.Module]:
    """Each Python file with its syntax tree."""
    return {path: ast.parse(path.read_text(), str(path)) for path in python_files}


@pytest.mark.parametrize("rule", RULES)
def test_the_code_keeps_its_shape(rule: Rule, root: Path, trees: dict[Path, ast.Module]) -> None:
    """Functions have at most 50 lines, `subprocess.run` has its `check=`, tests state a behaviour."""
    hits = [f"{path.relative_to(root)}:{line}" for path, tree in trees.items() for line in rule(tree)]
    assert hits == []


def test_modules_are_short(root: Path, python_files: list[Path]) -> None:
    """A module has at most 300 lines, a file of tests 400: past that it is two things."""
    lengths = {path.relative_to(root): len(path.read_text().splitlines()) for path in python_files}
    limits = {path: TEST_LINES if "tests" in path.parts else MODULE_LINES for path in lengths}
    assert {str(path): lines for path, lines in lengths.items() if lines > limits[path]} == {}


def test_modules_say_what_they_are_for(root: Path, trees: dict[Path, ast.Module]) -> None:
    """Each module that has anything in it begins with a sentence."""
    mute = [str(path.relative_to(root)) for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)]
    assert mute == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (long_functions, "def long():\n" + "    pass\n" * FUNCTION_LINES),
        (unchecked_runs, "subprocess.run(['true'])"),
        (bare_run_imports, "from subprocess import run"),
        (silent_tests, "def test_it():\n    assert True"),
    ],
)
def test_a_breach_is_found(rule: Rule, source: str) -> None:
    """Each rule sees the smallest piece of code that breaks it."""
    assert rule(ast.parse(source)) == [1]


def test_the_limit_itself_is_allowed() -> None:
    """A function of exactly 50 lines is not too long."""
    assert long_functions(ast.parse("def fits():\n" + "    pass\n" * (FUNCTION_LINES - 1))) == []
