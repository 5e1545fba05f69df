"""What the preflight says of a workspace, and what cannot be one."""

import subprocess
from pathlib import Path

import pytest
from git_harness import Repo, git
from msgspec.structs import replace

from bottle_git import folder
from claude_bottle.errors import Problem
from claude_bottle.manifest.types import Workspace
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.testing.contract import load_target, make_spec

LOADED = load_target("provisioner", "workspace", "bottle_git.plugin:PLUGIN")


def spec_for(cwd: Path, *, asks: bool = True) -> BottleSpec:
    """Return a launch that is called in a folder."""
    return replace(make_spec(LOADED, {}), workspace=Workspace(), cwd=cwd, asks=asks)


def problems(spec: BottleSpec) -> list[Problem]:
    """Return what is wrong with it."""
    return list(LOADED.hooks.validate(spec=spec) or ())


def line(spec: BottleSpec) -> str:
    """Return the preflight's line."""
    part = LOADED.hooks.resolve_plan(spec=spec, draft=Draft())
    assert part is not None
    return dict(part.lines)["workspace"]


def test_the_line_says_what_comes_in(repo: Repo, tmp_path: Path) -> None:
    """The repository and what is checked out, also from below it; a plain folder with its size."""
    assert line(spec_for(repo.path)) == f"copy of {repo.path} at main"
    (repo.path / "sub").mkdir()
    assert line(spec_for(repo.path / "sub")) == f"copy of {repo.path} at main"
    repo.git("checkout", "-q", "--detach")
    assert line(spec_for(repo.path)) == f"copy of {repo.path} at {repo.git('rev-parse', 'HEAD')[:12]}"
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "x").write_bytes(b"x" * (3 << 20))
    assert line(spec_for(plain)) == f"copy of {plain} (no repository: 1 file, 3 MiB)"


def test_what_is_borrowed_from_elsewhere_is_named(repo: Repo, tmp_path: Path) -> None:
    """F6, F9: a stranger's repository may name the objects of any other of this machine; the user sees which."""
    git(tmp_path, "clone", "-q", "--shared", str(repo.path), "shared")
    part = LOADED.hooks.resolve_plan(spec=spec_for(tmp_path / "shared"), draft=Draft())
    assert part is not None
    assert dict(part.lines)["workspace borrows"] == f"what its branches name of {repo.path}/.git/objects"


def test_a_large_folder_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit the question has its size; where nobody is asked it is a problem that says so."""
    for number in range(4):
        (tmp_path / str(number)).touch()
    assert problems(spec_for(tmp_path, asks=False)) == []
    monkeypatch.setattr(folder, "MOST_FILES", 3)
    assert problems(spec_for(tmp_path)) == []
    assert "more than 4 files" in line(spec_for(tmp_path))
    [problem] = problems(spec_for(tmp_path, asks=False))
    assert ("is no repository, and has more than 4 files" in problem.message, "terminal" in str(problem.hint)) == (
        True,
        True,
    )
    git(tmp_path, "init", "-q")
    assert problems(spec_for(tmp_path, asks=False)) == []


@pytest.mark.parametrize("above", [0, 1])
def test_a_home_is_no_workspace(above: int, home: Path) -> None:
    """F7: neither home, nor what holds it, nor a repository that is one of them."""
    place = (home, *home.parents)[above]
    assert "a workspace cannot be" in problems(spec_for(place))[0].message
    link = home / "link"
    link.symlink_to(place)
    assert "a workspace cannot be" in problems(spec_for(link))[0].message
    assert "holds your home" in problems(spec_for(Path("/")))[0].message
    assert "a workspace cannot be" in problems(replace(spec_for(link), workspace=Workspace(mode="bind")))[0].message


def test_what_git_would_follow_is_a_problem(repo: Repo, tmp_path: Path) -> None:
    """A `.git` file that points to a repository which does not know of it is a problem of step 1."""
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / ".git").write_text(f"gitdir: {repo.path}/.git\n")
    assert "does not point back" in problems(spec_for(stranger))[0].message


def test_a_partial_clone_is_a_problem_until_it_is_whole(repo: Repo, tmp_path: Path) -> None:
    """What is elsewhere cannot be packed here, and nothing is fetched on the way; the cure that is named is one."""
    repo.git("config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{repo.path}", "partial")
    [problem] = problems(spec_for(tmp_path / "partial"))
    assert "is a partial clone" in problem.message
    assert "?" in git(tmp_path / "partial", "rev-list", "--objects", "--all", "--missing=print")
    subprocess.run(["sh", "-ec", str(problem.hint)], cwd=tmp_path / "partial", check=True, capture_output=True)
    assert problems(spec_for(tmp_path / "partial")) == []
    assert "?" not in git(tmp_path / "partial", "rev-list", "--objects", "--all", "--missing=print")


def test_a_cure_has_nothing_that_a_stranger_wrote(repo: Repo) -> None:
    """F9: a hint is there to be pasted, and the name of a remote may be a command."""
    repo.git("config", "remote.x; touch ran.promisor", "true")
    [problem] = problems(spec_for(repo.path))
    assert problem.hint == "clone it anew, without --filter"


def test_branches_in_a_reftable_are_a_problem(repo: Repo) -> None:
    """They are no files that could be read; a newer git can make them ones."""
    repo.git("config", "core.repositoryFormatVersion", "1")
    repo.git("config", "extensions.refStorage", "reftable")
    [problem] = problems(spec_for(repo.path))
    assert (problem.message, problem.hint) == (
        f"{repo.path}/.git keeps its branches as reftable",
        "git refs migrate --ref-format=files",
    )


def test_a_bound_workspace_is_said_to_be_the_folder_itself(repo: Repo) -> None:
    """With what is read-only in it, and what is kept from being made; what cannot be protected is a problem."""
    spec = replace(spec_for(repo.path), workspace=Workspace(mode="bind"), file=repo.path / "kept")
    assert problems(spec) == []
    head, read, kept = line(spec).split("; ")
    assert head == f"{repo.path}, the folder itself"
    assert read == "read-only: kept, .git/hooks, .git/branches, .git/config"
    assert kept.startswith("kept from being made: .claude, .codex, ")
    (repo.path / ".claude").symlink_to("kept")
    assert "is a link, which cannot be protected" in problems(spec)[0].message
