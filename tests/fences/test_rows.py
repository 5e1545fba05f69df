"""Behaviours that were kept from the tool before this one: each has a number, and a test that names it."""

import ast
import re
from pathlib import Path

ROWS = [f"S{number}" for number in range(1, 35)]
NAME = re.compile(r"\bS[1-9][0-9]?\b")


def test_each_row_is_named_by_a_test(python_files: list[Path]) -> None:
    """Where one is named by none, what it says is held by nobody, or by a test that can be removed without notice."""
    named: set[str] = set()
    for path in (it for it in python_files if it.name.startswith("test_")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                named.update(NAME.findall(ast.get_docstring(node) or ""))
    assert [row for row in ROWS if row not in named] == []
