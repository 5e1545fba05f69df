"""The author's guide, followed in an empty folder with nothing but wheels: what it builds conforms, and runs."""

import re
import shlex
import subprocess
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = [pytest.mark.wheels, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "bottle-unshare"
GUIDE = (ROOT / "docs" / "plugins" / "guide.md").read_text()


MANIFEST = "bottle.yaml"
TESTING = ("iniconfig", "packaging", "pluggy", "pygments", "pytest")
"""What `claude-bottle-core[testing]` brings, beside what the proxy needs too."""


def files() -> Mapping[str, str]:
    """Return path and content of each file that the guide has in a block of its own."""
    found = re.findall(r"^`([^`\n]+)`:\n\n(`{3,4})\w+\n(.*?)^\2$", GUIDE, re.MULTILINE | re.DOTALL)
    return {path: text for path, _, text in found}


def blocks(language: str) -> list[str]:
    """Return the guide's other blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def said(pattern: str) -> str:
    """Return what the guide has in the one group of a pattern."""
    found = re.search(pattern, GUIDE, re.MULTILINE)
    assert found is not None, f"the guide does not say {pattern}"
    return found[1]


def pinned(names: Collection[str]) -> str:
    """Return what our constraints say of distributions, with their hashes."""
    said = re.findall(r"^([\w-]+)(==.*(?:\n +.*)*)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return "".join(f"{name}{pin}\n" for name, pin in said if name in names)


class Author(NamedTuple):
    """Somebody who follows the guide: an environment, a home, and the project that is written."""

    environment: Path
    home: Path
    project: Path

    def run(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment with nothing of ours around it."""
        path = f"{self.environment}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return subprocess.run(
            [self.environment / "bin" / words[0], *words[1:]],
            cwd=cwd or self.project,
            env={"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            timeout=280,
        )


@pytest.fixture(scope="module")
def author(
    make_environment: Callable[..., Path],
    pip: Callable[..., None],
    build: Callable[[Path, str, Path], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Author:
    """Steps 1 to 7: the scaffold, each block of the guide in its file, and the wheel of that, installed."""
    environment = make_environment("claude-bottle", called="guide")
    home = tmp_path_factory.mktemp("author")
    (home / "testing.txt").write_text(pinned(TESTING))
    more = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", home / "testing.txt"]
    pip("--python", environment / "bin" / "python", "install", "--no-compile", *more, online=True)
    author = Author(environment, home, home / "bottle-unshare")
    written = author.run("bottle", "plugins", "new", "unshare", "--kind", "backend", cwd=home)
    assert written.returncode == 0, written.stderr
    for path, text in files().items():
        (author.project / path).write_text(text)
    build(author.project, "wheel", home / "wheels")
    links = ["--no-index", "--no-deps", "--find-links", home / "wheels"]
    pip("--python", environment / "bin" / "python", "install", "--no-compile", *links, "bottle-unshare")
    (author.project / MANIFEST).write_text(blocks("yaml")[0])
    return author


def test_what_the_guide_builds_is_the_example(author: Author) -> None:
    """File by file, to the letter: what the scaffold wrote, and what the guide put in its place."""
    ours, theirs = (
        {
            path.relative_to(top).as_posix(): path.read_text()
            for pattern in ("*", "src/*/*", "tests/*", ".github/*/*")
            for path in top.glob(pattern)
            if path.is_file() and path.suffix != ".pyc"
        }
        for top in (EXAMPLE, author.project)
    )
    assert ours == {path: text for path, text in theirs.items() if path != MANIFEST}


def test_what_the_guide_builds_conforms(author: Author) -> None:
    """Step 8: unknown, it is not run; once trusted it is checked, and holds every contract of a backend."""
    assert "nobody here has trusted it yet" in author.run("bottle", "plugins", "conform", "unshare").stderr
    trusted = author.run("bottle", "plugins", "trust", "backend/unshare", "--yes")
    assert "trusted bottle-unshare 0.1.0" in trusted.stderr
    checked = author.run("bottle", "plugins", "check", "unshare")
    assert re.search(r"^ok  backend unshare \(bottle-unshare 0\.1\.0\): 9 hooks", checked.stdout), checked.stdout
    done = author.run("bottle", "plugins", "conform", "unshare")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    passed, skipped = said(r"^(\d+) tests pass, and"), said(r"^\d+ tests pass, and (\d+) are skipped")
    assert int(said(r"11 of (\d+) tests pass")) == int(passed) + int(skipped)
    assert f"{passed} passed, 0 failed, {skipped} skipped" in done.stdout, done.stdout[-500:]


def test_what_the_guide_builds_runs_a_bottle(author: Author) -> None:
    """The guide's manifest and its command: a bottle behind a proxy that refuses what nobody allowed."""
    done = author.run(
        "bottle",
        "start",
        "reviewer",
        "--file",
        "bottle.yaml",
        "--yes",
        "--",
        *shlex.split(said(r"bottle.yaml -- (.+)")),
    )
    assert "403" in done.stderr, done.stdout + done.stderr
    assert "third party   : bottle-unshare 0.1.0 (trusted by plugins.lock)" in done.stderr + done.stdout
    assert "unshare" not in author.run("bottle", "list").stdout
