"""Words that must not stand in the sources: names of plugins in core, places that one machine has."""

import re
from pathlib import Path

import pytest

PLUGIN_WORDS = re.compile(r"docker|podman|kubernetes|bwrap|pipelock|mitmproxy", re.IGNORECASE)
# Written so that no pattern finds itself in this file.
PLACES = re.compile(
    r"(?<![\w.~$}])/wor[k]/|\bshare[d]/\w+\.md|/root/\.pyenv"
    r"|pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|crates\.io|golang\.org|maven\.org|deb\.debian\.org"
)


def found(pattern: re.Pattern[str], root: Path, files: list[Path]) -> list[str]:
    """`file:line: text` of each line that has the pattern; what is no UTF-8 text has no words."""
    hits: list[str] = []
    for path in files:
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        hits += [f"{path.relative_to(root)}:{n}: {line}" for n, line in enumerate(lines, 1) if pattern.search(line)]
    return hits


def test_core_names_no_backend_and_no_proxy(root: Path, files: list[Path]) -> None:
    """Core knows its plugins by entry point alone: no source, comment or message of it has a name."""
    core = [path for path in files if path.is_relative_to(root / "core" / "src")]
    assert core
    assert found(PLUGIN_WORDS, root, core) == []


def test_no_file_names_a_place_of_one_machine(root: Path, files: list[Path]) -> None:
    """A clone works anywhere: no path of the machine where it was written, no host of a package index."""
    assert found(PLACES, root, files) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (PLUGIN_WORDS, "# as Docker does"),
        (PLUGIN_WORDS, 'name = "mitmproxy"'),
        (PLACES, "cd /wor" + "k/main"),
        (PLACES, "see share" + "d/style.md"),
        (PLACES, "https://pypi" + ".org/simple"),
    ],
)
def test_a_forbidden_word_is_found(tmp_path: Path, pattern: re.Pattern[str], line: str) -> None:
    """The search finds the word, and says where: file and line."""
    (tmp_path / "a.py").write_text(f"\n{line}\n")
    assert found(pattern, tmp_path, [tmp_path / "a.py"]) == [f"a.py:2: {line}"]


def test_the_lock_of_the_resolver_is_not_tracked(root: Path, files: list[Path]) -> None:
    """The lock holds the address of an index; what is committed are the hashed constraints."""
    assert root / "uv.lock" not in files
    assert root / "constraints.txt" in files


def test_the_licence_and_the_marker_of_types_are_there(root: Path, files: list[Path]) -> None:
    """Every import package says that it is typed, and the repository says on which terms it is given."""
    packages = [path.parent for path in files if path.match("*/src/*/__init__.py")]
    assert [str(package) for package in packages if package / "py.typed" not in files] == []
    assert root / "LICENSE" in files
