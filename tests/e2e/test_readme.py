"""The documents hold what they promise: every command in a `console` block is run, and its output compared.

Each document has one folder and one home. A `yaml` block whose first line is `# NAME` is written to the file NAME.
README's walk-through needs servers: `tests/matrix/test_walk.py` has them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_readme import WALK, Shell, blocks, pattern, section
from e2e_user import User

import claude_bottle.testing

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]
ENGINE = Path("/var/run/docker.sock")
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)#]*)(?:#[^)]*)?\)")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)


FOLDERS = {
    "agents/": "tests/agents",
    "bwrap/": "plugins/bwrap/tests",
    "docker/": "plugins/docker/tests",
    "git/": "plugins/git/tests",
    "mitmproxy/": "plugins/mitmproxy/tests",
    "pipelock/": "plugins/pipelock/tests",
    "skills/": "plugins/skills/tests",
    "ssh/": "plugins/ssh/tests",
    "testing/": str(Path(claude_bottle.testing.__file__).parent),
    "matrix/": "tests/matrix",
    "e2e/": "tests/e2e",
    "core/": "core",
}
"""How docs/security.md abbreviates where tests are."""


@pytest.fixture
def newcomer() -> Iterator[User]:
    """Somebody who has nothing yet, on a machine without an engine: there, the embedded set is picked."""
    if ENGINE.is_socket():
        pytest.skip(f"an engine at {ENGINE} is what a start picks here; tools/engine starts one elsewhere")
    someone = User()
    (someone.config / "config.yaml").unlink()
    yield someone
    someone.close()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_of_a_document_do_what_stands_below_them(document: str, newcomer: User) -> None:
    """What a reader copies works, from the first command to the last, in a home that has nothing yet."""
    text, shell = (ROOT / document).read_text(), Shell(newcomer)
    for language, block in blocks(text.replace(section(text, WALK), "")):
        name = re.match(r"# ([\w.-]+)\n", block)
        if language == "yaml" and name:
            (newcomer.work / name[1]).write_text(block)
        if language == "console":
            shell.paste(block)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_of_a_document_lead_somewhere(document: str) -> None:
    """No link within the repository is dead."""
    targets = [found["target"] for found in LINK.finditer((ROOT / document).read_text())]
    inside = [target for target in targets if target and "://" not in target]
    assert [target for target in inside if not (ROOT / document).parent.joinpath(target).exists()] == []


def test_make_targets_in_the_readme_exist() -> None:
    """The two commands that a newcomer types first are there."""
    named = re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {"demo", "test"} <= set(named) <= set(TARGET.findall((ROOT / "Makefile").read_text()))


def test_every_test_that_a_document_names_exists() -> None:
    """A protection that is said to be held by a test is held by one: file and name are there."""
    text = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)}|…::)[^` ]*)`", text)
    assert len(named) > 30
    file = ""
    for reference in named:
        path, _, test = reference.partition("::")
        file = file if path == "…" else path
        short, _, rest = file.partition("/")
        place = ROOT / FOLDERS[f"{short}/"] / rest
        assert place.exists(), reference
        assert not test or f"def {test}(" in place.read_text(), reference


def test_an_output_that_differs_is_noticed() -> None:
    """The comparison itself: a word more or less fails, and only what stands for anything may differ."""
    assert re.fullmatch(pattern("one … three\n"), "one two three\n")
    assert not re.fullmatch(pattern("one … three\n"), "one two three four\n")
    assert not re.fullmatch(pattern("no bottle runs\n"), "")
