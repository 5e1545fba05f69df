"""The program on PATH, as step 1 looks at it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bottle_pipelock.plugin import Pipelock
from bottle_pipelock.program import VERSION, examine
from claude_bottle.seam.traits import BackendTraits


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder on the way to which nobody is kept out."""
    path = Path(tempfile.mkdtemp(prefix="program-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name on PATH that says the right version."""
    path = folder / "pipelock"
    path.write_text(f"#!/bin/sh\necho pipelock version {VERSION}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return path


def test_the_program_is_asked_for_its_version(program: Path) -> None:
    """Beside a backend that runs processes, and beside no other; another version, and none, is told with the cure."""
    beside = BackendTraits(runs="process")
    assert [it.ok for it in Pipelock().probe_pair(beside)] == [True]
    program.write_text("#!/bin/sh\necho pipelock version 3.4.0\n")
    [other] = Pipelock().probe_pair(beside)
    assert (other.ok, "3.4.0" in other.detail, VERSION in str(other.cure)) == (False, True, True)
    program.unlink()
    [none] = Pipelock().probe_pair(beside)
    assert (none.ok, none.detail, VERSION in str(none.cure)) == (False, "pipelock is not on PATH", True)
    assert Pipelock().probe_pair(BackendTraits(runs="image")) == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone runs it as somebody else: run the tests as root as well")
@pytest.mark.parametrize("what", ["folder", "program"])
def test_root_s_own_program_is_none_for_a_proxy(folder: Path, program: Path, what: str) -> None:
    """S9: the uid that root gives a proxy has to run it, which is told before anything is made."""
    {"folder": folder, "program": program}[what].chmod(0o700)
    found = examine()
    assert (found.ok, found.detail) == (False, f"{program} can be run by root alone, as which no proxy runs")
    assert found.cure is not None
    assert "/usr/local/bin" in found.cure
