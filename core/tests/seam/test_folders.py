"""The user's folders: private, and nobody else's."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from claude_bottle.errors import BottleError
from claude_bottle.seam.folders import private_dir, runtime_dir


def test_a_private_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    """A folder that is made, and one that was too open, has mode 0700."""
    assert stat.S_IMODE(private_dir(tmp_path / "a" / "b").stat().st_mode) == 0o700
    open_one = tmp_path / "open"
    open_one.mkdir(mode=0o755)
    assert stat.S_IMODE(private_dir(open_one).stat().st_mode) == 0o700


def test_a_link_is_no_folder_of_ours(tmp_path: Path) -> None:
    """F6: a link where a private folder should be is refused, wherever it points."""
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(BottleError, match="not a folder of yours"):
        private_dir(tmp_path / "link")


@pytest.mark.root
def test_another_user_s_folder_is_refused(tmp_path: Path) -> None:
    """A folder that another user laid in our way is not used."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(BottleError, match="not a folder of yours"):
        private_dir(folder)


def test_a_file_in_the_way_is_an_error_of_ours(tmp_path: Path) -> None:
    """What keeps a folder from being made is told, not thrown."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BottleError, match="file"):
            private_dir(path)


def test_a_runtime_folder_that_is_not_there_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """`XDG_RUNTIME_DIR` counts only where it is a folder of ours that can be written."""
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        assert runtime_dir() == Path(short, "claude-bottle")
    assert runtime_dir() != Path(short, "claude-bottle")


def test_a_runtime_folder_that_no_socket_fits_into_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's path holds 107 bytes, so a long `XDG_RUNTIME_DIR` gives way to the short default."""
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert long not in runtime_dir().parents
