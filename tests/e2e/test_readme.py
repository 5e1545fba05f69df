"""The documents hold what they promise: every command in a `console` block is run, and its output compared.

In such a block a line that begins with `$` is a command, run by sh in one folder and one home per document; the lines
below it are its output, stdout and stderr as a terminal shows them, where `…` stands for anything, lines too.
A `yaml` block whose first line is `# NAME` is written to the file NAME.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from e2e_user import User

import claude_bottle.testing

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
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


class Step(NamedTuple):
    """A command of a document, and the output that stands below it."""

    command: str
    output: str


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
    blocks = [(found["language"], found["text"]) for found in BLOCK.finditer((ROOT / document).read_text())]
    for language, text in blocks:
        name = re.match(r"# ([\w.-]+)\n", text)
        if language == "yaml" and name:
            (newcomer.work / name[1]).write_text(text)
        if language == "console":
            for step in steps(text):
                shown = show(newcomer, step.command)
                assert re.fullmatch(pattern(step.output), shown, re.DOTALL), f"$ {step.command}\n{shown}"


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


def steps(text: str) -> Iterator[Step]:
    """Yield the commands of a block."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield Step(command, output)


def show(user: User, command: str) -> str:
    """Run a command as a reader would, and return what a terminal would show, without trailing spaces."""
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env=user.environment,
        cwd=user.work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    text = done.stdout.decode()
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def pattern(output: str) -> str:
    """Return the pattern that an output as it is printed in a document stands for."""
    return "".join(".*" if part == "…" else re.escape(part) for part in re.split("(…)", output))


def test_an_output_that_differs_is_noticed() -> None:
    """The comparison itself: a word more or less fails, and only what stands for anything may differ."""
    assert re.fullmatch(pattern("one … three\n"), "one two three\n")
    assert not re.fullmatch(pattern("one … three\n"), "one two three four\n")
    assert not re.fullmatch(pattern("no bottle runs\n"), "")
