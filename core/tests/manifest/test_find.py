"""Which manifest holds: named, here or above, or the user's own."""

import os
from pathlib import Path

import pytest

from claude_bottle.errors import BottleError
from claude_bottle.manifest.find import Found, find_manifest, resolve_path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a home with a project in it, a folder deep in that, and a configuration folder."""
    (tmp_path / "home" / "project" / "src" / "deep").mkdir(parents=True)
    (tmp_path / "home" / "config").mkdir()
    return tmp_path / "home"


def find(home: Path, cwd: str = "project/src/deep", file: str | None = None, variable: str | None = None) -> Found:
    """Find from a folder of the tree."""
    environ = {"HOME": str(home)} | ({} if variable is None else {"CLAUDE_BOTTLE_FILE": variable})
    return find_manifest(Path(file) if file else None, environ, home / cwd, home / "config")


def write(path: Path) -> Path:
    """Put an empty file there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_the_order_of_places(tree: Path) -> None:
    """`--file`, then the variable, then here or above, then the user's own."""
    write(tree / "project/.git/HEAD")
    own = write(tree / "config/bottle.yaml")
    assert find(tree) == Found(own, "config")
    above = write(tree / "project/bottle.yaml")
    assert find(tree) == Found(above, "here")
    here = write(tree / "project/src/deep/bottle.yaml")
    assert find(tree) == Found(here, "here")
    other = write(tree / "project/src/deep/other.yaml")
    assert find(tree, variable="other.yaml") == Found(other, "environment")
    assert find(tree, file="bottle.yaml", variable="other.yaml") == Found(here, "flag")
    assert find(tree, variable="") == Found(here, "here")


@pytest.mark.parametrize("git", ["folder", "file", "broken link"])
def test_the_climb_ends_at_the_git_root(tree: Path, git: str) -> None:
    """What lies above the repository is not its manifest, also where `.git` is a worktree's file."""
    write(tree / "bottle.yaml")
    mark = tree / "project/.git"
    match git:
        case "folder":
            mark.mkdir()
        case "file":
            mark.write_text("gitdir: elsewhere\n")
        case _:
            mark.symlink_to("nowhere")
    with pytest.raises(BottleError, match="no bottle"):
        find(tree)


def test_without_git_the_climb_ends_at_home(tree: Path) -> None:
    """Home is the last folder that is looked at."""
    write(tree.parent / "bottle.yaml")
    with pytest.raises(BottleError, match="no bottle"):
        find(tree)
    own = write(tree / "bottle.yaml")
    assert find(tree) == Found(own, "here")


@pytest.mark.root
def test_a_strangers_file_above_is_passed_over(tree: Path) -> None:
    """F9: nobody can lay a manifest in a shared folder for all who work below it, but here it is found."""
    os.chown(write(tree / "project/bottle.yaml"), 12345, -1)
    with pytest.raises(BottleError, match="no bottle"):
        find(tree)
    assert find(tree, cwd="project").how == "here"
    (tree / "project/.git").mkdir()
    assert find(tree).how == "here"


def test_a_folder_of_that_name_is_no_manifest(tree: Path) -> None:
    """Only files are found; a folder that is named is told what was meant."""
    (tree / "project/bottle.yaml").mkdir()
    with pytest.raises(BottleError, match="no bottle"):
        find(tree)
    with pytest.raises(BottleError, match="is a folder") as caught:
        find(tree, file=str(tree / "project"))
    assert caught.value.hint == f"name the file in it: {tree}/project/bottle.yaml"


@pytest.mark.parametrize(("file", "variable"), [("no.yaml", None), (None, "no.yaml")])
def test_a_named_file_that_is_missing_is_an_error(tree: Path, file: str | None, variable: str | None) -> None:
    """A name that leads nowhere never falls back to another manifest; the message says who named it."""
    write(tree / "project/src/deep/bottle.yaml")
    with pytest.raises(BottleError, match="--file" if file else "CLAUDE_BOTTLE_FILE") as caught:
        find(tree, file=file, variable=variable)
    assert "bottle init" in (caught.value.hint or "")


def test_paths_are_relative_to_the_manifest() -> None:
    """`~` is the home, a relative path starts beside the file that names it."""
    manifest, home = Path("/p/bottle.yaml"), Path("/home/u")
    assert resolve_path(manifest, "~/.ssh/id", home) == Path("/home/u/.ssh/id")
    assert resolve_path(manifest, "~", home) == home
    assert resolve_path(manifest, "keys/id", home) == Path("/p/keys/id")
    assert resolve_path(manifest, "/k", home) == Path("/k")
