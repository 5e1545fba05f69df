"""Repositories of our own in the user's cache: kept while their launch lives, listed and removed once it is dead."""

import subprocess
import sys
from pathlib import Path

from bottle_git.held import Leftovers, remove_leftovers
from bottle_git.plugin import Workspace

HOLD = """
import time
from bottle_git.held import held_folder
with held_folder() as path:
    print(path, flush=True)
    time.sleep(60)
"""


def test_what_a_crash_left_is_found_and_removed() -> None:
    """A folder of a living process is left alone; once it is killed its folder is listed, and goes."""
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        early = Workspace().plan_cleanup()
        assert list(early.lines()) == []
        process.kill()
    (path / "objects").mkdir()
    found = Workspace().plan_cleanup()
    assert list(found.lines()) == [f"folder {path}"]
    Workspace().cleanup(early)
    assert path.is_dir()
    Workspace().cleanup(found)
    assert not path.exists()


def test_what_is_held_again_is_not_removed() -> None:
    """Between the list and the yes nobody takes a folder from one who holds it."""
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        remove_leftovers(Leftovers((path,)))
        assert path.is_dir()
        process.kill()
