"""The guide's example as a plain user has it; as root, and from wheels, it is tried in tests/wheels."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "bottle-unshare"

pytestmark = pytest.mark.timeout(300)


@pytest.mark.skipif(os.getuid() == 0, reason="root's run is in tests/wheels: run the tests as a plain user, too")
def test_the_example_conforms() -> None:
    """Its own tests pass, from its own folder: whoever starts a bottle needs no rights for it."""
    env = {**os.environ, "PYTHONPATH": str(EXAMPLE / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    place = ["--rootdir", EXAMPLE, "-c", EXAMPLE / "pyproject.toml", EXAMPLE / "tests"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *place],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    said = re.search(r"^(\d+) tests pass, and", (ROOT / "docs/plugins/guide.md").read_text(), re.MULTILINE)
    assert said is not None
    assert f"{said[1]} passed" in done.stdout, done.stdout[-500:]
