"""The project of a new plugin: templates of this package, filled in and written as one."""

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from string import Template

from claude_bottle import __version__
from claude_bottle.declare import API
from claude_bottle.errors import BottleError
from claude_bottle.scaffold.names import distribution_of, package_of, title_of
from claude_bottle.seam.kinds import Kind

__all__ = ["write_project"]

TEMPLATES = Path(__file__).parent / "templates"


def write_project(name: str, kind: Kind, into: Path) -> Path:
    """Write the project below a folder, and return its own; BottleError if that is there, or cannot be written.

    Whatever ends this early, nothing is left of it.
    """
    project = into / distribution_of(name)
    files = _files(name, kind)
    if not into.is_dir():
        raise BottleError(f"{into} is no folder", f"mkdir -p {into}")
    try:
        project.mkdir()
    except FileExistsError as error:
        raise BottleError(
            f"{project} is there already", "choose another name, or another folder with --into"
        ) from error
    except OSError as error:
        raise _unwritten(project, error) from error
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, project, ignore_errors=True)
        try:
            for path, text in files.items():
                file = project / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise _unwritten(project, error) from error
        undo.pop_all()
    return project


def _unwritten(project: Path, error: OSError) -> BottleError:
    return BottleError(f"{project} cannot be written: {error.strerror}")


def _files(name: str, kind: Kind) -> Mapping[str, str]:
    """Return the text of each file, by its path in the project."""
    package = package_of(name)
    words = {
        "name": name,
        "kind": kind,
        "distribution": distribution_of(name),
        "package": package,
        "title": title_of(name),
        "contract": f"{kind.title()}Contract",
        "range": _core_range(),
        "api": str(API),
    }
    words |= {word: _fill(f"{kind}/{word}.md", words) for word in ("todo", "usage")}
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".gitignore": "gitignore",
        ".github/workflows/ci.yml": "ci.yml",
        f"src/{package}/__init__.py": "init.py",
        f"src/{package}/plugin.py": f"{kind}/plugin.py",
        f"src/{package}/section.py": f"{kind}/section.py",
        "tests/test_conformance.py": "test_conformance.py",
    }
    return {path: _fill(template, words) for path, template in templates.items()} | {f"src/{package}/py.typed": ""}


def _fill(template: str, words: Mapping[str, str]) -> str:
    text = (TEMPLATES / f"{template}.in").read_text(encoding="utf-8")
    return Template(text).substitute(words)


def _core_range() -> str:
    """Return the versions of core that have the hooks of this one."""
    major, minor, *_ = __version__.split(".")
    return f">={major}.{minor},<{major}.{int(minor) + 1}"
