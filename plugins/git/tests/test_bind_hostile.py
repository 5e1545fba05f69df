"""What an agent lays in a bound folder, and git here would execute: shown to run, and in a bottle not to be laid."""

import os
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from git_harness import Repo, git
from msgspec.structs import replace

from bottle_git.bind import bind_folder
from bottle_git.plugin import PLUGIN
from claude_bottle.launch.bound import Bound, prove_mounts
from claude_bottle.manifest.types import Workspace
from claude_bottle.testing.contract import load_target
from claude_bottle.testing.ground import Ground

HOOKS = load_target("provisioner", "workspace", "bottle_git.plugin:PLUGIN").hooks
assert PLUGIN.kind == "provisioner"

PREPARE = """
printf '#!/bin/sh\\ntouch "$RAN"\\n' >evil.sh; chmod +x evil.sh
git init -q -b main evil; git -C evil commit -q --allow-empty -m evil
cp evil.sh evil/.git/hooks/pre-receive; cp evil.sh evil/.git/hooks/post-checkout
git config -f evil/.git/config core.fsmonitor 'touch "$RAN"; :'
"""

NEW_MODULE = """
mkdir -p .git/modules; cp -r evil/.git .git/modules/lib
git config -f .gitmodules submodule.lib.path lib; git config -f .gitmodules submodule.lib.url ./evil
git update-index --add --cacheinfo 160000,$(git -C evil rev-parse HEAD),lib
"""
NEW_WORKTREES = """
mv .git/worktrees old; cp -r old .git/worktrees; echo ../../../evil/.git >.git/worktrees/tree/commondir
"""

ATTACKS: dict[str, tuple[str, Sequence[str]]] = {
    "hooks": ("cp evil.sh .git/hooks/pre-commit", ("commit", "--allow-empty", "-m", "x")),
    "config": ("cp evil/.git/config .git/config", ("status",)),
    "config.worktree": ("cp evil/.git/config .git/config.worktree", ("status",)),
    "commondir": ("echo ../evil/.git >.git/commondir", ("status",)),
    "the whole folder": ("mv .git old; cp -r evil/.git .git", ("status",)),
    "remotes": ("mkdir -p .git/remotes; echo URL: ./evil >.git/remotes/up", ("push", "up", "main:new")),
    "branches": ("mkdir -p .git/branches; echo ./evil >.git/branches/up", ("push", "up", "main:new")),
    "modules": (NEW_MODULE, ("submodule", "update", "--init")),
    "a submodule's configuration": ("cp evil/.git/config .git/modules/sub/config", ("-C", "sub", "status")),
    "a submodule's .git": ("echo gitdir: ../evil/.git >sub/.git", ("-C", "sub", "status")),
    "hooks elsewhere": ("mkdir -p tools; cp evil.sh tools/pre-push", ("push", "other", "main:new")),
    "what is included": ("cp evil/.git/config included", ("status",)),
    "a linked worktree": ("echo ../../../evil/.git >.git/worktrees/tree/commondir", ("-C", "../tree", "status")),
    "the linked worktrees": (NEW_WORKTREES, ("-C", "../tree", "status")),
}
"""What the agent does, and the call of git on this machine that executes it."""


@pytest.fixture
def repo(repo: Repo) -> Repo:
    """A repository with one of everything that leads git elsewhere."""
    other = Repo(repo.path.with_name("other"))
    git(repo.path, "submodule", "add", "-q", "../other", "sub")
    repo.git("submodule", "absorbgitdirs")
    repo.git("remote", "add", "other", str(other.path))
    repo.commit("submodule")
    repo.git("worktree", "add", "-q", "../tree")
    repo.git("config", "extensions.worktreeConfig", "true")
    repo.git("config", "include.path", "../included")
    (repo.path / "included").write_text("")
    return repo


def runs(repo: Repo, call: Sequence[str], ran: Path) -> bool:
    """Say whether a call of git runs what was laid, and take it away again."""
    if call[-2:] == ("other", "main:new"):
        repo.git("config", "core.hooksPath", "tools")
    git(repo.path, *call, env={"RAN": str(ran)}, check=False)
    found = ran.exists()
    ran.unlink(missing_ok=True)
    return found


@pytest.mark.parametrize("what", ATTACKS)
def test_what_is_laid_would_run(repo: Repo, tmp_path: Path, what: str) -> None:
    """F1, F2, F3: where nothing is protected each runs on this machine, by a call that says nothing of it."""
    script, call = ATTACKS[what]
    assert not runs(repo, call, tmp_path / "ran")
    subprocess.run(["sh", "-c", PREPARE + script], cwd=repo.path, check=True, capture_output=True)
    assert runs(repo, call, tmp_path / "ran")


def test_a_plain_folder_is_no_repository_without_a_head(tmp_path: Path) -> None:
    """F3: laid bare, without any `.git`, it would run something too; an empty folder in the place of HEAD is enough."""
    folder, ran = tmp_path / "plain", tmp_path / "ran"
    folder.mkdir()
    lay = "git init -q --bare x; mv x/* .; git config -f config core.bare false; git config -f config core.worktree .; "
    lay += "git config -f config core.fsmonitor 'touch \"$RAN\"; :'"
    subprocess.run(["sh", "-c", lay], cwd=folder, check=True)
    git(folder, "status", env={"RAN": str(ran)}, check=False)
    assert ran.exists()
    ran.unlink()
    (folder / "HEAD").unlink()
    (folder / "HEAD").mkdir()
    git(folder, "status", env={"RAN": str(ran)}, check=False)
    assert not ran.exists()


def test_nothing_that_is_laid_in_a_bottle_runs(repo: Repo, ground: Ground, tmp_path: Path) -> None:
    """F1, F2, F3: the same attempts inside; and what could be laid is named at the end."""
    if os.getuid() == 0:
        pytest.skip("root binds nothing: run the tests as a plain user too")
    repo.git("config", "core.hooksPath", "tools")
    mounts = bind_folder(repo.path, None).mounts
    bound = Bound(mounts, secrets.token_hex(4))
    bound.hold()
    try:
        with ground.start("bound", mounts) as held:
            bound.follow(held.bottle)
            prove_mounts(mounts, held.bottle)
            plan = replace(held.plan, workspace=Workspace(mode="bind"), cwd=str(repo.path))
            HOOKS.provision_git(bottle=held.bottle, plan=plan)
            assert held.bottle.exec(f"cd /workspace; {PREPARE}").returncode == 0
            for script, _ in ATTACKS.values():
                held.bottle.exec(f"cd /workspace; {script}")
            lines = list(HOOKS.collect(bottle=held.bottle, plan=plan) or ())
    finally:
        bound.release()
    assert [what for what, (_, call) in ATTACKS.items() if runs(repo, call, tmp_path / "ran")] == []
    assert lines[0].startswith("look at these")
    assert {"evil/.git", "evil.sh", ".gitmodules"} <= set(lines[1].removeprefix("  changed: ").split(", "))
