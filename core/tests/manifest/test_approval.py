"""The store of approvals: what is approved is these bytes of this file, and nothing gets lost."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from claude_bottle.errors import BottleError
from claude_bottle.manifest.approval import Approvals, is_vouched
from claude_bottle.manifest.find import Found

A, B = "a" * 64, "b" * 64

WRITER = """
import sys
from pathlib import Path
from claude_bottle.manifest.approval import Approvals
store = Approvals(Path(sys.argv[1]))
for number in range(20):
    store.approve(Path(f"/project-{sys.argv[2]}-{number}/bottle.yaml"), sys.argv[2] * 64)
"""


@pytest.fixture
def approvals(tmp_path: Path) -> Approvals:
    """Return a store in a state folder that is not there yet."""
    return Approvals(tmp_path / "state")


def test_a_manifest_is_new_then_approved_then_changed(approvals: Approvals, tmp_path: Path) -> None:
    """Wish 25: other bytes of an approved file are asked about again, and going back is changing too."""
    path = tmp_path / "bottle.yaml"
    assert approvals.status(path, A) == "new"
    approvals.approve(path, A)
    assert approvals.status(path, A) == "approved"
    assert approvals.status(path, B) == "changed"
    approvals.approve(path, B)
    assert approvals.status(path, A) == "changed"
    assert approvals.status(tmp_path / "other.yaml", B) == "new"


def test_looking_makes_nothing(approvals: Approvals, tmp_path: Path) -> None:
    """A dry run leaves no folder behind."""
    approvals.status(tmp_path / "bottle.yaml", A)
    assert not (tmp_path / "state").exists()


def test_a_link_is_approved_as_the_file_behind_it(approvals: Approvals, tmp_path: Path) -> None:
    """Pointing an approved link at another file does not carry the approval over."""
    (tmp_path / "real.yaml").touch()
    (tmp_path / "other.yaml").touch()
    link = tmp_path / "bottle.yaml"
    link.symlink_to("real.yaml")
    approvals.approve(link, A)
    assert approvals.status(tmp_path / "real.yaml", A) == "approved"
    link.unlink()
    link.symlink_to("other.yaml")
    assert approvals.status(link, A) == "new"


def test_only_the_user_can_read_the_store(approvals: Approvals, tmp_path: Path) -> None:
    """File and folder are private whatever the umask."""
    old = os.umask(0)
    try:
        approvals.approve(tmp_path / "bottle.yaml", A)
    finally:
        os.umask(old)
    state = tmp_path / "state"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()} == {0o600}
    assert sorted(path.name for path in state.iterdir()) == ["approved.json"]


@pytest.mark.parametrize(
    "junk", [b"", b"{", b"\xff", b"[]", b'{"version": 2, "manifests": {}}', b'{"manifests": {"/a": 1}}']
)
def test_a_store_that_is_not_understood_approves_nothing(approvals: Approvals, tmp_path: Path, junk: bytes) -> None:
    """Damage fails closed, and the next approval starts afresh."""
    approvals.approve(tmp_path / "bottle.yaml", A)
    approvals.store.file.write_bytes(junk)
    assert approvals.status(tmp_path / "bottle.yaml", A) == "new"
    approvals.approve(tmp_path / "bottle.yaml", A)
    assert approvals.status(tmp_path / "bottle.yaml", A) == "approved"


def test_a_store_that_cannot_be_read_says_so(approvals: Approvals) -> None:
    """What is no file is an error, not an empty store."""
    approvals.store.file.mkdir(parents=True)
    with pytest.raises(BottleError, match="cannot be read"):
        approvals.store.read()


def test_a_crash_between_write_and_replace_does_no_harm(approvals: Approvals, tmp_path: Path) -> None:
    """A leftover of a killed writer is neither read nor in the way."""
    approvals.approve(tmp_path / "bottle.yaml", A)
    (tmp_path / "state" / "approved.json.new").write_bytes(b'{"manifests": {')
    assert approvals.status(tmp_path / "bottle.yaml", A) == "approved"
    approvals.approve(tmp_path / "bottle.yaml", B)
    assert approvals.status(tmp_path / "bottle.yaml", B) == "approved"


def test_writers_at_the_same_time_lose_nothing(approvals: Approvals) -> None:
    """Four processes approve twenty manifests each, and all eighty are there."""
    argv = [sys.executable, "-c", WRITER, str(approvals.store.file.parent)]
    writers = [subprocess.Popen([*argv, name]) for name in "abcd"]
    assert [writer.wait(30) for writer in writers] == [0, 0, 0, 0]
    assert len(approvals.store.read().manifests) == 80


def test_a_file_that_was_named_or_is_the_users_own_is_vouched_for(tmp_path: Path) -> None:
    """`--yes` accepts an unknown manifest named with `--file` or from the user's folder, no other."""
    config = tmp_path / "config"
    config.mkdir()
    foreign, own = tmp_path / "bottle.yaml", config / "bottle.yaml"
    assert is_vouched(Found(foreign, "flag"), config)
    assert is_vouched(Found(own, "config"), config)
    assert is_vouched(Found(own, "here"), config)
    assert not is_vouched(Found(foreign, "here"), config)
    assert not is_vouched(Found(foreign, "environment"), config)
    own.symlink_to(foreign)
    assert not is_vouched(Found(own, "config"), config)
