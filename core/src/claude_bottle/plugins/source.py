"""What a plugin's source says of itself, read without importing it."""

import ast
from collections.abc import Iterator
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path

from claude_bottle.hookspecs import Specs

__all__ = ["Source", "read_source"]

MARK = "hookimpl"


class Source:
    """The Python files behind an entry point's module, wherever it is imported from."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self.files = files

    def hooks(self) -> tuple[str, ...]:
        """Return the hooks that it marks as implemented; a hint, since source can do what it does not say."""
        return tuple(sorted({name for file in self.files for name in _marked(file)}))


def read_source(target: str) -> Source:
    """Return the files of the package or module that `target` (`module:attribute`) lies in; none if it has none."""
    top = target.partition(":")[0].partition(".")[0]
    try:
        spec = find_spec(top)  # of a top-level name, which imports nothing of it
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return Source(())
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if folders:
        return Source(tuple(sorted(file for folder in folders for file in folder.rglob("*.py"))))
    return Source((Path(spec.origin),) if spec.origin and spec.origin.endswith(".py") else ())


def installed_files(distribution: Distribution) -> tuple[str, ...]:
    """Return the files that a distribution's RECORD names, as they stand in it."""
    return tuple(sorted(str(file) for file in distribution.files or ()))


def _marked(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and hasattr(Specs, node.name) and any(map(_is_mark, node.decorator_list)):
            yield node.name


def _is_mark(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else node
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    return name == MARK
