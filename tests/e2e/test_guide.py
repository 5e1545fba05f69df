"""The author's guide: its code is the example's, which conforms, and runs in a bottle as the guide says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_user import User

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "plugins" / "guide.md").read_text()
EXAMPLE = ROOT / "examples" / "bottle-maker"
TRUST = {"CLAUDE_BOTTLE_TRUST": "bottle-maker"}


def blocks(language: str) -> list[str]:
    """Return the guide's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def author(user: User, tmp_path: Path) -> User:
    """Somebody who has installed the example, and whose manifest is the guide's."""
    info = tmp_path / "bottle_maker-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bottle-maker\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[claude_bottle.agent]\nmaker = bottle_maker.plugin:PLUGIN\n")
    user.environment |= {"PYTHONPATH": f"{tmp_path}:{EXAMPLE / 'src'}", "PYTHONDONTWRITEBYTECODE": "1"} | TRUST
    (user.work / "bottle.yaml").write_text(blocks("yaml")[0])
    return user


def test_the_guide_s_code_is_the_example_s() -> None:
    """Block by block, to the letter."""
    files = [EXAMPLE / "src" / "bottle_maker" / name for name in ("section.py", "plugin.py")]
    assert blocks("python") == [file.read_text() for file in files]


def test_the_example_conforms() -> None:
    """Its own tests pass, from its own folder."""
    env = {**os.environ, "PYTHONPATH": str(EXAMPLE / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    words = (
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(EXAMPLE),
        "-c",
        str(EXAMPLE / "pyproject.toml"),
    )
    done = subprocess.run(
        [sys.executable, *words, str(EXAMPLE / "tests")],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "12 passed" in done.stdout


def test_the_guide_s_manifest_is_planned_with(author: User) -> None:
    """The program, its targets, and who trusts the plugin."""
    done = author.bottle("start", "tests", "--dry-run")
    assert done.code == 0, done.err
    assert "targets       : test\n" in done.out
    assert "third party   : bottle-maker 0.1.0 (trusted by CLAUDE_BOTTLE_TRUST)\n" in done.out


def test_the_example_runs_in_a_bottle(author: User) -> None:
    """`make` begins in an empty workspace, and says so; the code is its own."""
    done = author.bottle("start", "tests", "--yes", "--file", "bottle.yaml")
    assert "No rule to make target 'test'" in done.out + done.err
    assert done.code == 2


def test_its_mistakes_are_told_with_their_line(author: User) -> None:
    """`validate` names the key, core adds file and line."""
    manifest = author.work / "bottle.yaml"
    manifest.write_text(manifest.read_text().replace("jobs: 2", "jobs: 0").replace("[test]", "[-f]"))
    done = author.bottle("start", "tests", "--dry-run")
    assert "error: bottle.yaml:5: bottles.build.maker.targets: a target is a name, not an option\n" in done.err
    assert "error: bottle.yaml:6: bottles.build.maker.jobs: at least one job must run\n" in done.err
