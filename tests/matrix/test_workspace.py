"""A repository goes in with `--cwd`, the agent commits, a branch comes back: at the end, on request, in any case."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_upstream import Internet
from e2e_user import User, wait_until
from matrix_pair import Pair

from bottle_docker.labels import ROLE, Mark
from bottle_docker.plugin import open_engine

EMBEDDED, ON_ENGINE = Pair("bwrap", "mitmproxy"), Pair("docker", "mitmproxy")
on_both = pytest.mark.parametrize("pair", [EMBEDDED, ON_ENGINE], indirect=True, ids=str)
embedded = pytest.mark.parametrize("pair", [EMBEDDED], indirect=True, ids=str)
"""One proxy stands for all: nothing of a workspace passes it. `test_walk.py` has what is left out on an engine."""


@pytest.fixture
def user(pair: Pair, internet: Internet) -> Iterator[User]:
    """Somebody who stands in a repository with one commit, and whose manifest lies elsewhere."""
    someone = pair.user(internet)
    (someone.home / ".gitconfig").write_text("[user]\n\tname = Ann\n\temail = ann@example.com\n")
    someone.manifest()
    (someone.work / "bottle.yaml").rename(someone.config / "bottle.yaml")
    (someone.work / "file").write_text("before\n")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "first")):
        git(someone, *words)
    yield someone
    someone.close()


def git(user: User, *words: str) -> str:
    """Run git as that user does."""
    done = subprocess.run(
        ["git", *words], cwd=user.work, env=user.environment, capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode().rstrip("\n")


def detached(user: User) -> str:
    """Start a bottle with the workspace and return its name: an engine shows those of everybody with the same uid."""
    done = user.bottle("start", "reviewer", "--cwd", "--yes", "--detach")
    assert done.code == 0, done.err
    return done.out.strip()


@embedded
def test_a_commit_comes_back_as_a_branch(user: User) -> None:
    """S29: from preflight to the branch: what the user then types is `git diff` and `git merge`."""
    assert (
        f"workspace     : copy of {user.work} at main\n" in user.bottle("start", "reviewer", "--cwd", "--dry-run").out
    )
    script = (
        "cd /workspace && echo after >file && git commit -qam inside && echo x >x && pwd && git log -1 --format=%an"
    )
    done = user.bottle("start", "reviewer", "--cwd", "--yes", "--", "sh", "-c", script)
    assert (done.code, done.out) == (0, "/workspace\nAnn\n")
    assert "branch bottle/reviewer: 1 commit\nbranch bottle/reviewer-wip: 1 file not committed\n" in done.err
    assert git(user, "diff", "--stat", "main", "bottle/reviewer").startswith(" file | 2 +-")
    git(user, "merge", "-q", "bottle/reviewer")
    assert (user.work / "file").read_text() == "after\n"
    assert user.listed() == []


@on_both
def test_work_comes_out_while_the_bottle_runs(user: User) -> None:
    """`bottle diff` and `bottle pull` from another terminal, and `bottle stop` brings out what came after."""
    name = detached(user)
    user.bottle("exec", name, stdin="echo one >one; git add one; git commit -qm one; echo two >two")
    shown = user.bottle("diff", name)
    assert (shown.code, "+one\n" in shown.out, "not committed:" in shown.out, "+two\n" in shown.out) == (0, *[True] * 3)
    assert user.bottle("pull", name).code == 0
    assert git(user, "branch", "--format=%(refname:short)") == "bottle/reviewer\nbottle/reviewer-wip\nmain"
    user.bottle("exec", name, stdin="git commit -q --allow-empty -m three")
    stopped = user.bottle("stop", name)
    assert (stopped.code, "branch bottle/reviewer: 1 commit" in stopped.err) == (0, True)
    assert git(user, "log", "--format=%s", "bottle/reviewer") == "three\none\nfirst"


@on_both
def test_an_interrupt_loses_nothing(user: User) -> None:
    """Ctrl-C ends the agent; what it has done comes out before anything is removed."""
    script = "git commit -q --allow-empty -m inside; echo up; exec sleep 60"
    process = user.begin("start", "reviewer", "--cwd", "--yes", "--", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(2)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert git(user, "log", "-1", "--format=%s", "bottle/reviewer") == "inside"


@on_both
def test_a_repository_that_moved_keeps_the_bottle(user: User) -> None:
    """The user is told how to get at the work; once the repository is back a pull fetches it, and the bottle goes."""
    aside = user.folder / "aside"
    name = detached(user)
    user.bottle("exec", name, stdin="git commit -q --allow-empty -m inside")
    (user.work / ".git").rename(aside)
    failed = user.bottle("stop", name)
    assert (failed.code, "no repository at" in failed.err, "bottle pull" in failed.err) == (1, True, True)
    assert [row["state"] for row in user.listed()] == ["running"]
    aside.rename(user.work / ".git")
    assert user.bottle("stop", name).code == 0
    assert git(user, "log", "-1", "--format=%s", "bottle/reviewer") == "inside"
    assert wait_until(lambda: user.listed() == [])


@embedded
def test_where_no_workspace_is_asked_for_none_comes(user: User) -> None:
    """S29: without `--cwd` the folder is empty, and no branch is made."""
    done = user.bottle("start", "reviewer", "--yes", "--", "sh", "-c", "ls -A /workspace; echo x >/workspace/x")
    assert (done.code, done.out) == (0, "")
    assert git(user, "branch", "--format=%(refname:short)") == "main"


@on_both
def test_what_was_pulled_outlives_its_backend(pair: Pair, user: User) -> None:
    """The bottle is killed between a pull and the next commit: the branch is whole, and what is lost is said."""
    name = detached(user)
    user.bottle("exec", name, stdin="echo one >one; git add one; git commit -qm one; echo two >two")
    assert user.bottle("pull", name).code == 0
    before = git(user, "for-each-ref")
    user.bottle("exec", name, stdin="git add two; git commit -qm two")
    [row] = user.listed()
    kill(pair, row["pid"])
    assert wait_until(lambda: user.listed() == [], 30)
    pulled = user.bottle("pull", name)
    assert (pulled.code, f"no bottle {name} runs" in pulled.err, "git branch --list 'bottle/*'" in pulled.err) == (
        *(1, True, True),
    )
    assert git(user, "for-each-ref") == before
    assert git(user, "fsck", "--strict", "--no-dangling") == ""
    assert git(user, "show", "bottle/reviewer-wip:two") == "two"
    said = "".join(path.read_text() for path in (user.state / "claude-bottle" / "supervisors").iterdir())
    assert f"{name} has ended: what was done in it since it last came out is lost" in said
    assert "is kept" not in said


def kill(pair: Pair, launcher: int) -> None:
    """Take the bottle of a launcher away from it: its container, or the first process of its sandbox."""
    if pair.contained:
        engine = open_engine()
        for it in engine.containers(f"{ROLE}=agent"):
            if (mark := Mark.read(it.labels)) is not None and mark.owner.pid == launcher:
                engine.kill(it.id, "KILL")
        return
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    for pid in children:
        if b"bwrap" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(int(pid), signal.SIGKILL)
