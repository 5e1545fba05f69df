"""What comes back: branches of this bottle's own, and nothing else changes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from git_harness import Repo, Stay, fingerprint

from claude_bottle.errors import BottleError

Enter = Callable[[Path], Stay]


def test_commits_and_the_rest_become_two_branches(repo: Repo, enter: Enter) -> None:
    """Commits are `bottle/<slug>`, what is not committed is one more commit on `bottle/<slug>-wip`."""
    stay = enter(repo.path)
    stay.sh("echo one >one; git add one; git commit -qm inside; echo two >two; echo after >changed; rm kept")
    assert stay.pull() == ["branch bottle/reviewer: 1 commit", "branch bottle/reviewer-wip: 3 files not committed"]
    assert repo.git("log", "--format=%s %an", "main..bottle/reviewer-wip").splitlines() == [
        "What was not committed in the bottle Ann Other",
        "inside Ann Other",
    ]
    assert repo.git("diff", "--name-status", "bottle/reviewer", "bottle/reviewer-wip").split() == [
        *("M", "changed", "D", "kept", "A", "two")
    ]
    assert repo.git("fsck", "--strict") == ""


def test_nothing_else_of_the_repository_changes(repo: Repo, enter: Enter) -> None:
    """Working tree, index, other branches, tags, configuration and hooks are byte for byte what they were."""
    repo.git("tag", "-m", "a tag", "v1")
    repo.write(changed="mine\n", untracked="mine\n", staged="mine\n")
    repo.git("add", "staged")
    (repo.path / ".git/hooks/pre-commit").write_text("#!/bin/sh\n")
    before = fingerprint(repo.path)
    stay = enter(repo.path)
    stay.sh(
        "git commit -qam inside; git tag v2; git branch -f main; echo x >x; git config user.name y; rm -rf .git/hooks"
    )
    assert len(stay.pull()) == 2
    assert fingerprint(repo.path) == before
    assert sorted(repo.branches()) == ["bottle/reviewer", "bottle/reviewer-wip", "main"]


def test_nothing_done_is_nothing_brought_out(repo: Repo, enter: Enter) -> None:
    """What the user had not committed is no work of the agent's; only once it is changed it comes back."""
    repo.write(changed="mine\n", untracked="mine\n")
    stay = enter(repo.path)
    assert stay.pull() == []
    assert stay.diff() == ""
    stay.sh("echo more >>untracked")
    assert stay.pull() == ["branch bottle/reviewer-wip: 2 files not committed"]


def test_a_branch_is_never_overwritten(repo: Repo, enter: Enter) -> None:
    """A name that is taken, also by the other of the pair, moves both on to the next."""
    repo.git("branch", "bottle/reviewer")
    repo.git("branch", "bottle/reviewer-2-wip")
    before = repo.branches()
    stay = enter(repo.path)
    stay.sh("git commit -q --allow-empty -m inside; echo x >x")
    assert [line.partition(":")[0] for line in stay.pull()] == [
        "branch bottle/reviewer-3",
        "branch bottle/reviewer-3-wip",
    ]
    after = repo.branches()
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {"bottle/reviewer-3", "bottle/reviewer-3-wip"}


def test_a_second_pull_goes_on_where_the_first_ended(repo: Repo, enter: Enter) -> None:
    """The bottle's own branches grow; nothing that came out before is lost, nothing new is nothing said."""
    stay = enter(repo.path)
    stay.sh("git commit -q --allow-empty -m one; echo x >x")
    stay.pull()
    first = repo.branches()
    assert stay.pull() == []
    stay.sh("git commit -q --allow-empty -m two; rm x; echo y >y")
    stay.pull()
    second = repo.branches()
    assert first.keys() == second.keys()
    for name in ("bottle/reviewer", "bottle/reviewer-wip"):
        repo.git("merge-base", "--is-ancestor", first[name], second[name])
    assert repo.git("show", f"{first['bottle/reviewer-wip']}:x") == "x"


@pytest.mark.parametrize("how", ["rewritten", "moved by the user", "checked out"])
def test_a_branch_that_may_not_move_stays(how: str, repo: Repo, enter: Enter) -> None:
    """History that was rewritten inside, or a branch that the user has taken over, goes on under the next name."""
    stay = enter(repo.path)
    stay.sh("git commit -q --allow-empty -m one")
    stay.pull()
    if how == "moved by the user":
        repo.git("branch", "-f", "bottle/reviewer", "main")
    elif how == "checked out":
        repo.git("checkout", "-q", "bottle/reviewer")
    before = repo.branches()
    stay.sh(
        "git commit -q --allow-empty --amend -m other" if how == "rewritten" else "git commit -q --allow-empty -m two"
    )
    assert [line.partition(":")[0] for line in stay.pull()] == ["branch bottle/reviewer-2"]
    assert before.items() <= repo.branches().items()


def test_commits_of_other_branches_come_too(repo: Repo, enter: Enter) -> None:
    """Whatever branch the agent left them on, and a stash: each is a branch that says what it was."""
    stay = enter(repo.path)
    stay.sh(
        "git checkout -qb side; git commit -q --allow-empty -m side; git checkout -q main; echo x >kept; git stash -q"
    )
    assert stay.pull() == [
        "branch bottle/reviewer: 1 commit (side inside)",
        "branch bottle/reviewer-2: 2 commits (stash inside)",
    ]


def test_a_diff_shows_both_and_changes_nothing(repo: Repo, enter: Enter) -> None:
    """Commits as patches, then what is not committed; no branch is made."""
    before = fingerprint(repo.path)
    stay = enter(repo.path)
    stay.sh("echo one >one; git add one; git commit -qm inside; echo two >two")
    shown = stay.diff()
    assert [text for text in ("    inside\n", "\n+one\n", "\nnot committed:\n", "\n+two\n") if text not in shown] == []
    assert fingerprint(repo.path) == before
    assert list(repo.branches()) == ["main"]


def test_a_repository_that_moved_is_an_error(repo: Repo, enter: Enter) -> None:
    """The work stays in the bottle, and comes out once the repository is back."""
    stay = enter(repo.path)
    stay.sh("git commit -q --allow-empty -m inside")
    aside = repo.path.with_name("aside")
    repo.path.rename(aside)
    with pytest.raises(BottleError, match=r"no repository at .*/repo any more"):
        stay.pull()
    repo.path.mkdir()
    with pytest.raises(BottleError, match="no repository at"):
        stay.pull()
    repo.path.rmdir()
    aside.rename(repo.path)
    assert stay.pull() == ["branch bottle/reviewer: 1 commit"]


def test_a_worktree_that_is_now_another_repository_s_is_an_error(repo: Repo, enter: Enter, tmp_path: Path) -> None:
    """Work goes back to where it began, not to what has taken its place."""
    linked, other = tmp_path / "linked", Repo(tmp_path / "other")
    repo.git("worktree", "add", "-q", str(linked))
    stay = enter(linked)
    stay.sh("git commit -q --allow-empty -m inside")
    shutil.rmtree(linked)
    other.git("worktree", "add", "-q", str(linked))
    with pytest.raises(BottleError, match=r"no repository at .*/linked any more"):
        stay.pull()
    assert not [name for it in (repo, other) for name in it.branches() if name.startswith("bottle/")]


def test_what_the_agent_replaced_comes_out_as_it_is(repo: Repo, enter: Enter) -> None:
    """`git replace` shows one commit in another's place, inside alone: the real ones come out, whole."""
    stay = enter(repo.path)
    stay.sh("echo one >one; git add one; git commit -qm one; git rm -q one; git commit -qm two")
    stay.sh("git replace HEAD^ HEAD^^; git log --format=%s >/tmp/shown")
    assert stay.sh("cat /tmp/shown") == "two\nfirst"
    assert stay.pull() == ["branch bottle/reviewer: 2 commits"]
    assert repo.git("log", "--format=%s", "bottle/reviewer") == "two\none\nfirst"
    assert repo.git("fsck", "--strict") == ""


def test_damaged_objects_are_an_error(repo: Repo, enter: Enter) -> None:
    """What is not there inside any more cannot come out: nothing is written, and the error says so."""
    stay = enter(repo.path)
    stay.sh("echo x >x; git add x; git commit -qm one; git rev-parse :x | sed 's,^..,&/,' >/tmp/blob; git rm -q x")
    stay.sh("git commit -qm two; rm -f .git/objects/$(cat /tmp/blob)")
    before = fingerprint(repo.path)
    with pytest.raises(BottleError, match="could not be read"):
        stay.pull()
    assert (fingerprint(repo.path), list(repo.branches())) == (before, ["main"])


def test_a_full_disk_is_an_error(repo: Repo, enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half is left where the copy into the user's objects ends early."""
    stay = enter(repo.path)
    stay.sh("git commit -q --allow-empty -m inside")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", full)
        with pytest.raises(BottleError, match=r"/repo/\.git cannot be written: No space left"):
            stay.pull()
    assert (list(repo.branches()), list((repo.path / ".git/objects").rglob("tmp_*"))) == (["main"], [])
    assert stay.pull() == ["branch bottle/reviewer: 1 commit"]
