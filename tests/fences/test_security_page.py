"""docs/security.md: each test that it names for a protection is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`((?:[a-z0-9]+/)[\w/]*(?:test_\w+|[a-z]+)\.py|…)(?:::(test_\w+))?`")
"""A file, or `…` for the one that was named last, and a test in it."""
FOLDERS = {
    "testing": "core/src/claude_bottle/testing",
    "e2e": "tests/e2e",
    "matrix": "tests/matrix",
    "agents": "tests/agents",
}
"""What the page's first words say of each short name; any other is a plugin's."""


def named() -> Iterator[tuple[Path, str]]:
    """Yield each file that the page names, and the test, empty where the whole file is meant."""
    file = ROOT
    for short, test in NAMED.findall(PAGE):
        if short != "…":
            place, _, rest = short.partition("/")
            folder = FOLDERS.get(place, f"plugins/{place}/tests")
            file = ROOT / short if place in {"core", "plugins"} else ROOT / folder / rest
        yield file, test


@pytest.mark.parametrize(("file", "test"), [pytest.param(*it, id=f"{it[0].name}:{it[1]}") for it in named()])
def test_what_the_page_names_is_there(file: Path, test: str) -> None:
    """A test that is renamed or removed is on the page as it is called now, or the protection has another."""
    assert file.is_file()
    assert not test or re.search(rf"^ *def {test}\(", file.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_name_on_the_page_is_looked_for() -> None:
    """Else a slip in how one is written would take it out of the look."""
    written = re.findall(r"`[^`\n]*(?:test_|…)[^`\n]*`", PAGE)
    assert [it for it in written if not NAMED.fullmatch(it)] == []
