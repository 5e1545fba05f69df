"""The list of what may be executed in a bound folder: by what changed since the agent was let in."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from git_harness import Repo

from bottle_git import aftermath
from bottle_git.aftermath import note, tell
from bottle_git.bind import bind_folder

BOTTLE = cast("Any", SimpleNamespace(launch="one"))


def changed(folder: Path) -> list[str]:
    """Return what the list has as changed."""
    line = next((it for it in tell(BOTTLE, folder) if it.startswith("  changed: ")), "")
    return line.removeprefix("  changed: ").split(", ") if line else []


def test_what_changed_comes_first(repo: Repo) -> None:
    """F4, F5: what is new or was written, then what is as it was; nothing is said where nothing changed."""
    (repo.path / "sub").mkdir()
    repo.write(**{"Makefile": "", "package.json": "{}", "sub/.envrc": ""})
    note(BOTTLE, repo.path)
    assert tell(BOTTLE, repo.path) == []
    repo.write(**{"kept": "x", "package.json": "{ }", "sub/tox.ini": ""})
    assert tell(BOTTLE, repo.path) == [
        "look at these before you use it, for some tool may execute them:",
        "  changed: package.json, sub/tox.ini",
        "  as they were: Makefile, sub/.envrc",
    ]


def test_a_time_that_was_set_back_is_a_change(repo: Repo) -> None:
    """A program may set when a file was written, and its size, but not when it last changed."""
    repo.write(Makefile="one")
    found = (repo.path / "Makefile").stat()
    note(BOTTLE, repo.path)
    repo.write(Makefile="two")
    os.utime(repo.path / "Makefile", ns=(found.st_atime_ns, found.st_mtime_ns))
    assert changed(repo.path) == ["Makefile"]


def test_what_is_moved_is_a_change(repo: Repo) -> None:
    """What was harmless where it lay may not be where it lies."""
    (repo.path / "doc" / "tasks").mkdir(parents=True)
    (repo.path / "doc" / "tasks" / "tasks.json").write_text("{}")
    note(BOTTLE, repo.path)
    (repo.path / "doc" / "tasks").rename(repo.path / "doc" / ".vscode")
    assert changed(repo.path) == ["doc/.vscode/tasks.json"]


@pytest.mark.parametrize(
    ("lay", "expected"),
    [
        ("printf '#!/bin/sh' >tool; chmod +x tool", "tool"),
        ("touch tool; chmod u+s tool", "tool"),
        ("git init -q inner", "inner/.git"),
        ("mkdir inner; echo gitdir: /elsewhere >inner/.git", "inner/.git"),
        ("git init -q --bare inner.git", "inner.git"),
        ("echo >>bare/config", "bare/config"),
        ("ln -s /etc/passwd link", "link"),
        ("ln -s ../out link", "link"),
        ("ln -s .git/config link", "link"),
        ("rm .git/index; ln -s /etc/passwd .git/index", ".git/index"),
        ("ln -s /tmp .git/logs/link", ".git/logs/link"),
        ("mkdir .git/rebase-merge; echo x >.git/rebase-merge/git-rebase-todo", ".git/rebase-merge/git-rebase-todo"),
        ("mkdir .git/sequencer; echo pick x >.git/sequencer/todo", ".git/sequencer/todo"),
    ],
)
def test_what_leads_to_a_program_is_named(repo: Repo, lay: str, expected: str) -> None:
    """F3, F6: programs, repositories, links that lead out or into `.git`, steps that a rebase would go on with."""
    repo.git("init", "-q", "--bare", "bare")
    note(BOTTLE, repo.path)
    subprocess.run(["sh", "-c", lay], cwd=repo.path, check=True)
    assert expected in changed(repo.path)


def test_what_does_not_is_not(repo: Repo) -> None:
    """Files, links within the tree, and what git itself writes."""
    note(BOTTLE, repo.path)
    repo.write(new="text")
    (repo.path / "link").symlink_to("new")
    repo.commit("second")
    repo.git("gc", "-q")
    assert tell(BOTTLE, repo.path) == []


def test_a_protection_that_the_user_took_away_is_told(repo: Repo) -> None:
    """What keeps a place empty can be removed here, as `git clean` does: then the place is open."""
    mounts = bind_folder(repo.path, None).mounts
    for mount in mounts:
        if mount.make == "folder":
            Path(mount.source).mkdir()
        elif mount.make:
            Path(mount.source).write_text(mount.text)
    note(BOTTLE, repo.path)
    assert tell(BOTTLE, repo.path, mounts) == []
    repo.git("clean", "-fdq")
    assert "no longer kept from being made, for what stood here was removed: /workspace/.mcp.json" in tell(
        BOTTLE, repo.path, mounts
    )


def test_what_cannot_be_looked_at_is_told(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too much of it, or a folder that is shut: the list says that it is not whole."""
    note(BOTTLE, repo.path)
    if os.getuid():
        (repo.path / "shut").mkdir(mode=0)
        assert tell(BOTTLE, repo.path) == ["could not be looked at: shut (Permission denied)"]
        (repo.path / "shut").chmod(0o700)
    deep = repo.path
    place = os.open(deep, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("x" * 200, dir_fd=place)
        place = os.open("x" * 200, os.O_RDONLY, dir_fd=place)
    assert tell(BOTTLE, repo.path)[-1].endswith("(File name too long)")
    monkeypatch.setattr(aftermath, "MOST", 2)
    assert tell(BOTTLE, repo.path)[-1] == "could not be looked at: more than 2 files"
