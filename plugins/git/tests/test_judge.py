"""What may not come out: names and links that leave the tree or reach `.git`, in whatever spelling."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_harness import Repo, Stay, fingerprint

from bottle_git.judge import is_dot_git, leaves
from claude_bottle.errors import BottleError
from claude_bottle.seam.bottle import ExecResult

Enter = Callable[[Path], Stay]

SPELLINGS = [
    ".git",
    ".GIT",
    ".Git ",
    ".git.",
    ".git. . ",
    ".git:x",
    "git~1",
    "GIT~1",
    ".g\u200cit",
    "\ufeff.git",
    "a\\.git",
]


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_is_dot_git(name: str) -> None:
    """HFS+ ignores code points, NTFS case, endings, streams and long names."""
    assert is_dot_git(name)


@pytest.mark.parametrize("name", [".gitignore", "git", ".gitmodules", "git~2", "x.git", ".git-dir"])
def test_other_names_are_not(name: str) -> None:
    """What only looks like it is a name like any other."""
    assert not is_dot_git(name)


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("a", "b", False),
        ("a/b", "../c", False),
        ("a/b/c", "../../d/./e", False),
        ("a", "..", True),
        ("a/b", "../../c", True),
        ("a/b", "x/../../../c", True),
        ("a", "/etc/passwd", True),
        ("a", "", True),
        ("a", ".git/hooks", True),
        ("a/b", "../.GIT/config", True),
    ],
)
def test_links_that_leave(path: str, target: str, out: bool) -> None:
    """A link is judged by where it leads from where it lies."""
    assert leaves(path, target) is out


@pytest.mark.parametrize(
    "name",
    [".git", ".GIT", "git~1", ".g\u200cit", "\ufeff.git", "..", ".", ".git ", ".git.", ".git:x", r"a\\.git", "a/b"],
)
def test_a_tree_with_a_bad_name_does_not_come_out(name: str, repo: Repo, enter: Enter) -> None:
    """A tree that no `git add` makes, written by hand: refused whole, and nothing is written; git itself takes it."""
    stay = enter(repo.path)
    script = f"""
raw() {{ python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))'; }}
blob=$(echo payload | git hash-object -w --stdin)
{{ printf '100644 {name}\\0'; printf %s "$blob" | raw; }} >/tmp/tree
git update-ref HEAD $(echo bad | git commit-tree $(git hash-object -t tree -w --literally /tmp/tree) -p HEAD)
git cat-file -t HEAD:
"""
    assert stay.sh(script) == "tree"
    before = fingerprint(repo.path)
    with pytest.raises(BottleError, match="index-pack"):
        stay.pull()
    assert (fingerprint(repo.path), list(repo.branches())) == (before, ["main"])


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", ".git/config"])
def test_a_link_that_leaves_does_not_come_out(target: str, repo: Repo, enter: Enter) -> None:
    """F6: uncommitted it is left out and named; in a commit it holds the work back until it is gone."""
    stay = enter(repo.path)
    stay.sh(f"ln -s {target} link; echo x >x")
    assert stay.pull()[1:] == ["left out: link (a link that leaves the workspace)"]
    assert repo.git("ls-tree", "--name-only", "bottle/reviewer-wip").split() == ["changed", "kept", "x"]
    stay.sh("git add -A; git commit -qm bad")
    with pytest.raises(BottleError, match="a commit has link, a link that leaves"):
        stay.pull()
    stay.sh("git reset -q --soft HEAD^; rm link; git add -A; git commit -qm good")
    assert stay.pull() == ["branch bottle/reviewer: 1 commit"]


def test_what_came_in_may_stay(repo: Repo, enter: Enter) -> None:
    """A link of the user's own that leaves the tree is no reason to keep anything back."""
    (repo.path / "link").symlink_to("/usr/bin/true")
    repo.commit("link")
    stay = enter(repo.path)
    stay.sh("echo x >x; ln -sf /etc/passwd link")
    assert len(stay.pull()) == 2
    assert repo.git("show", "bottle/reviewer-wip:link") == "/usr/bin/true"


def test_a_submodule_that_runs_a_command_does_not_come_out(repo: Repo, enter: Enter) -> None:
    """`update = !command` and a URL that is an option are refused; the commit is one that git makes."""
    stay = enter(repo.path)
    stay.sh("printf '[submodule \"x\"]\\n\\tpath = x\\n\\turl = -u./run\\n\\tupdate = !touch ran\\n' >.gitmodules")
    stay.sh("git add -A; git commit -qm bad")
    with pytest.raises(BottleError, match="gitmodules"):
        stay.pull()


def test_a_pack_with_a_wrong_sum_does_not_come_out(repo: Repo, enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that change on the way are noticed."""
    stay = enter(repo.path)
    stay.sh("git commit -q --allow-empty -m inside")
    real = stay.bottle.exec

    def flip(script: str, **how: Any) -> ExecResult:
        done = real(script, **how)
        return ExecResult(done.returncode, done.stdout[:-1] + bytes([done.stdout[-1] ^ 1]), done.stderr)

    monkeypatch.setattr(stay.bottle, "exec", flip)
    with pytest.raises(BottleError, match="index-pack"):
        stay.pull()
    assert list(repo.branches()) == ["main"]


@pytest.mark.parametrize(
    "said", ["", "exit 0", "echo work HEAD; echo", "printf 'work %040d\\n\\n' 1", "head -c 100000 /dev/zero"]
)
def test_a_git_that_lies_is_refused(said: str, repo: Repo, enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent may put its own program in git's place: what it says is an error, or nothing, and no branch."""
    stay = enter(repo.path)
    fake = f"#!/bin/sh\n{said}\n"
    stay.sh(f"mkdir -p ~/.local/bin; cat >/tmp/git <<'END'\n{fake}END\nchmod +x /tmp/git")
    real = stay.bottle.exec

    def lying(script: str, **how: Any) -> ExecResult:
        return real(f"PATH=/tmp:$PATH\n{script}", **how)

    monkeypatch.setattr(stay.bottle, "exec", lying)
    with pytest.raises(BottleError):
        stay.pull()
    assert list(repo.branches()) == ["main"]
    assert subprocess.run(["git", "-C", repo.path, "fsck"], check=False).returncode == 0
