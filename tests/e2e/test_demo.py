"""The demo: its steps come out as expected, it touches nothing of the user's, and it fails where a step does."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from e2e_user import User

DEMO = Path(__file__).parents[2] / "examples" / "demo"


def play(user: User, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the demo of a folder, without a terminal."""
    words = [folder / "run"]
    environment = {"PATH": user.environment["PATH"], "TMPDIR": user.environment["TMPDIR"], "HOME": str(user.home)}
    return subprocess.run(
        words, env=environment, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_every_step_is_as_expected(user: User) -> None:
    """`make demo` shows a bottle from preflight to teardown with real requests, and leaves nothing."""
    before = sorted(DEMO.rglob("*"))
    done = play(user, DEMO)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert re.findall("✗|\x1b", done.stdout) == []
    assert done.stdout.count("✓") == 9
    assert re.search("All 9 steps were as expected", done.stdout)
    assert sorted(DEMO.rglob("*")) == before
    assert list((user.folder / "tmp").iterdir()) == []
    assert list(user.home.iterdir()) == []


def test_it_does_without_curl(user: User, tmp_path: Path) -> None:
    """On a machine that has Python alone the requests are Python's, and just as real."""
    if not os.access("/usr/bin/python3", os.X_OK):
        pytest.skip("this machine has no /usr/bin/python3: apt-get install python3")
    folder = shutil.copytree(DEMO, tmp_path / "demo")
    text = (DEMO / "demo.py").read_text()
    (folder / "demo.py").write_text(text.replace('shutil.which("curl", path=INSIDE)', "None"))
    done = play(user, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "python3 - https://api.demo.test/ < fetch.py" in done.stdout


def test_it_fails_where_a_protection_does(user: User, tmp_path: Path) -> None:
    """With the manifest opened up, the host that should be refused answers, and the demo says so and fails."""
    folder = shutil.copytree(DEMO, tmp_path / "demo")
    manifest = (DEMO / "bottle.yaml").read_text()
    open_one = manifest.replace("[api.demo.test]", "[api.demo.test, evil.demo.test]\n      dlp_action: warn")
    (folder / "bottle.yaml").write_text(open_one)
    done = play(user, folder)
    assert done.returncode == 1
    assert done.stdout.count("✗") == 4  # the plan, the other host, the token, the record
    assert "4 of 9 steps were not as expected" in done.stdout
    assert list((user.folder / "tmp").iterdir()) == []


def test_its_manifest_works_as_it_stands(user: User) -> None:
    """Whoever starts the demo's bottle by hand gets one."""
    done = user.bottle("start", "demo", "--file", str(DEMO / "bottle.yaml"), "--yes", "--", "id", "-un")
    assert (done.code, done.out) == (0, "agent\n"), done.err
