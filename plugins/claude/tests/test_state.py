"""`state: keep`: Claude Code's own folder between launches, as an archive that nobody opens outside."""

import errno
import io
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import pytest
from claude_plan import PLAN

from bottle_claude.state import keep_state, kept_state, state_file
from claude_bottle.errors import LaunchError
from claude_bottle.seam.bottle import Bottle, ExecResult
from claude_bottle.seam.tree import Entry, FileEntry, FolderEntry

TREE = (
    FolderEntry("."),
    FileEntry(".credentials.json", b"canary"),
    FileEntry("settings.json", b"canary"),
    FileEntry("settings.local.json", b"canary"),
    FileEntry("remote-settings.json", b"canary"),
    FileEntry("remote-settings.json.synced-at", b"canary"),
    FileEntry("CLAUDE.md", b"canary"),
    FolderEntry("agents"),
    FileEntry("agents/old.md", b"canary"),
    FolderEntry("backups"),
    FileEntry("backups/.claude.json.backup.1", b"canary"),
    FolderEntry("skills"),
    FileEntry("skills/old/SKILL.md", b"canary"),
    FolderEntry("projects"),
    FileEntry("projects/session.jsonl", b"kept"),
    FileEntry(".bottle-times", b"canary"),
)
WRITTEN = b"1796000000 ./projects/session.jsonl\n"


class Holding:
    """A bottle in which this tree lies; nothing else of a bottle is needed."""

    def get(self, path: str) -> Iterator[Entry]:
        """Yield it."""
        assert path == "/home/agent/.claude"
        yield from TREE

    def exec(self, script: str, timeout: float) -> ExecResult:
        """Say when each file was written."""
        assert "stat -c" in script
        assert timeout
        return ExecResult(0, WRITTEN, b"")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of state of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def keep() -> str:
    """Keep the tree, as a launch does at its end."""
    bottle = cast("Bottle", Holding())
    return keep_state(bottle, PLAN, "/home/agent/.claude")


def test_what_was_kept_comes_back_without_credentials() -> None:
    """Sessions do; logins, copies of the key's end, settings and what a launch puts in anew do not."""
    assert list(kept_state(PLAN, ".claude")) == []
    assert str(state_file("reviewer", "/project")) in keep()
    kept = list(kept_state(PLAN, ".claude"))
    *tree, times = kept
    assert [it.name for it in tree] == [".claude", ".claude/projects", ".claude/projects/session.jsonl"]
    assert times == FileEntry(".claude/.bottle-times", WRITTEN, 0o600)
    assert b"canary" not in state_file("reviewer", "/project").read_bytes()


def test_the_archive_is_the_user_s_alone() -> None:
    """Mode 0600, whatever the umask; nothing is left beside it."""
    keep()
    keep()
    file = state_file("reviewer", "/project")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    with tarfile.open(fileobj=io.BytesIO(file.read_bytes())) as tar:
        assert "projects/session.jsonl" in tar.getnames()


def test_what_cannot_be_kept_leaves_what_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up on the way costs this launch's state, and not the one before."""
    keep()
    file = state_file("reviewer", "/project")
    before = file.read_bytes()

    def fill(_: object, stream: IO[bytes]) -> None:
        stream.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bottle_claude.state.pack", fill)
    with pytest.raises(LaunchError, match="No space left"):
        keep()
    assert (file.read_bytes(), list(file.parent.iterdir())) == (before, [file])


def test_another_project_s_agent_of_the_same_name_has_its_own() -> None:
    """The manifest's folder is part of the name."""
    assert state_file("reviewer", "/project") != state_file("reviewer", "/other")


@pytest.mark.parametrize("spoilt", [b"", b"no archive", None])
def test_a_state_that_cannot_be_used_names_its_file(spoilt: bytes | None) -> None:
    """S14: one that is cut off or is none, with the cure; and a place where none can be kept."""
    file = state_file("reviewer", "/project")
    file.parent.mkdir(parents=True, mode=0o700)
    if spoilt is None:
        file.mkdir()
        with pytest.raises(LaunchError, match=r"the state cannot be kept in .*: Is a directory"):
            keep()
    else:
        file.write_bytes(spoilt)
    with pytest.raises(LaunchError, match=f"the kept state {file} cannot be read: ") as caught:
        list(kept_state(PLAN, ".claude"))
    assert caught.value.hint == "remove it to begin anew"
