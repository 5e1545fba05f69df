"""Repositories of our own in the user's cache: kept while their launch lives, listed and removed once it is dead."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
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


@contextmanager
def held() -> Generator[Path]:
    """Have another process hold a folder, and kill that process."""
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_what_a_crash_left_is_found_and_removed() -> None:
    """A folder of a living process is left alone; once that is killed its folder is listed, and goes."""
    with held() as path:
        assert list(Workspace().plan_cleanup().lines()) == []
    (path / "objects").mkdir()
    found = Workspace().plan_cleanup()
    assert list(found.lines()) == [f"folder {path}"]
    assert path.is_dir()
    Workspace().cleanup(found)
    assert not path.exists()


def test_what_is_held_is_not_removed() -> None:
    """Between the list and the yes nobody takes a folder from one who holds it."""
    with held() as path:
        remove_leftovers(Leftovers((path,)))
        assert path.is_dir()
