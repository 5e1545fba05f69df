"""Nothing that is written in a repository runs on the host: each way is first shown to run where nothing protects."""

import os
import pty
import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from git_harness import Repo, Stay, git

from claude_bottle.errors import BottleError
from claude_bottle.seam.tree import write_tree

Enter = Callable[[Path], Stay]
VERSION = tuple(int(part) for part in re.findall(r"\d+", git(Path("/"), "version"))[:2])


class Trap(NamedTuple):
    """A way to have a program run: a script that lays it (`$P` is the program), and what a user may then type."""

    lay: str
    spring: str
    since: tuple[int, int] = (0, 0)


ATTRIBUTES = "echo '* {0}=x' >.gitattributes; "
SUBMODULE = """
printf '[submodule "x"]\\n\\tpath = x\\n\\turl = ./\\n' >.gitmodules
git update-index --add --cacheinfo "160000,$(git rev-parse HEAD),x"; git config submodule.x.active true
"""
TRAPS = {
    "hooks": Trap(
        "mkdir -p .git/hooks; for it in pre-commit post-commit reference-transaction post-index-change; do "
        'printf "#!/bin/sh\\n$P\\n" >.git/hooks/$it; chmod +x .git/hooks/$it; done',
        "git commit -q --allow-empty -m x",
    ),
    "core.fsmonitor": Trap('git config core.fsmonitor "$P"', "git status"),
    "core.hooksPath": Trap(
        'mkdir hooks; printf "#!/bin/sh\\n$P\\n" >hooks/reference-transaction; chmod +x hooks/*; '
        "git config core.hooksPath hooks",
        "git commit -q --allow-empty -m x",
    ),
    "core.sshCommand": Trap('git config core.sshCommand "$P"', "git ls-remote ssh://host.example/x"),
    "core.pager": Trap('git config core.pager "$P"', "git log"),
    "core.editor": Trap('git config core.editor "$P"', "git commit --allow-empty"),
    "filter.clean": Trap(ATTRIBUTES.format("filter") + 'git config filter.x.clean "$P"', "touch kept; git add -A"),
    "filter.smudge": Trap(
        ATTRIBUTES.format("filter") + 'git config filter.x.smudge "$P"', "rm kept; git checkout -- kept"
    ),
    "filter.process": Trap(ATTRIBUTES.format("filter") + 'git config filter.x.process "$P"', "touch kept; git add -A"),
    "diff.external": Trap('git config diff.external "$P"; echo x >>kept', "git diff"),
    "diff.command": Trap(ATTRIBUTES.format("diff") + 'git config diff.x.command "$P"; echo x >>kept', "git diff"),
    "textconv": Trap(ATTRIBUTES.format("diff") + 'git config diff.x.textconv "$P"; echo x >>kept', "git diff"),
    "merge driver": Trap(
        ATTRIBUTES.format("merge") + 'git config merge.x.driver "$P"; git add -A; git commit -qm base; '
        "git checkout -qb side; echo 1 >kept; git commit -qam 1; git checkout -q main; echo 2 >kept; git commit -qam 2",
        "git merge side",
    ),
    "attr.tree": Trap(
        ATTRIBUTES.format("filter")
        + "git add -A; git commit -qm a; git rm -q --cached .gitattributes; rm .gitattributes; "
        'git commit -qm b; git config attr.tree HEAD^; git config filter.x.clean "$P"',
        "touch kept; git add -A",
        since=(2, 43),
    ),
    "core.attributesFile": Trap(
        "echo '* filter=x' >attributes; git config core.attributesFile attributes; git config filter.x.clean \"$P\"",
        "touch kept; git add -A",
    ),
    "info/attributes": Trap(
        "mkdir -p .git/info; echo '* filter=x' >.git/info/attributes; git config filter.x.clean \"$P\"",
        "touch kept; git add -A",
    ),
    "aliases": Trap('git config alias.st "!$P"', "git st"),
    "includes": Trap(
        'printf "[core]\\n\\tfsmonitor = $P\\n" >settings; git config include.path ../settings', "git status"
    ),
    "conditional includes": Trap(
        'printf "[core]\\n\\tfsmonitor = $P\\n" >settings; git config includeIf.onbranch:**.path ../settings',
        "git status",
    ),
    "submodule update command": Trap(
        SUBMODULE + 'git config submodule.x.url "$PWD/."; git config submodule.x.update "!$P"',
        "git config submodule.x.url $PWD/.; git -c protocol.file.allow=always submodule update",
    ),
    "submodule URL": Trap(
        SUBMODULE + 'git config submodule.x.url "ext::$P"; true', "GIT_ALLOW_PROTOCOL=ext git submodule update"
    ),
    "gpg.program": Trap('git config gpg.program "$P"; git config commit.gpgSign true', "git commit --allow-empty -m x"),
    "credential.helper": Trap(
        'git config credential.helper "!$P"', "printf 'protocol=https\\nhost=x.example\\n\\n' | git credential fill"
    ),
    "uploadpack": Trap('git config remote.x.url .; git config remote.x.uploadpack "$P"', "git fetch x"),
    "a .git file that points elsewhere": Trap(
        'mv .git elsewhere; echo "gitdir: elsewhere" >.git; git config core.worktree ..; '
        'git config core.fsmonitor "$P"',
        "git status",
    ),
    "core.untrackedCache": Trap(
        'git config core.fsmonitor "$P"; git config core.untrackedCache true; git status', "git status"
    ),
}


@pytest.fixture
def program(tmp_path: Path) -> tuple[Path, Path]:
    """A program that leaves a mark, and where it leaves it."""
    mark, program = tmp_path / "ran", tmp_path / "payload"
    program.write_text(f"#!/bin/sh\n: >{mark}\n")
    program.chmod(0o755)
    return program, mark


def spring(folder: Path, command: str) -> None:
    """Type a command as a user would: at a terminal, with git as it comes."""
    ours, theirs = pty.openpty()
    subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        timeout=30,
        check=False,
    )
    os.close(ours)
    os.close(theirs)


def check_version(trap: Trap) -> None:
    """Skip what this git does not know."""
    if trap.since > VERSION:
        pytest.skip(f"git knows this since {trap.since[0]}.{trap.since[1]}; here is {VERSION[0]}.{VERSION[1]}")


@pytest.mark.parametrize("name", TRAPS)
def test_what_the_agent_laid_does_not_run(
    name: str, repo: Repo, enter: Enter, program: tuple[Path, Path], tmp_path: Path
) -> None:
    """F1, F2, F3: it runs in a copy of the agent's repository that a user works in, and not when work comes out."""
    trap, (payload, mark) = TRAPS[name], program
    check_version(trap)
    stay = enter(repo.path)
    stay.sh(f"P={payload}\n{{ {trap.lay}\n}} >/dev/null 2>&1; :")
    stay.sh("echo done >done")
    copy = tmp_path / "copy"
    write_tree(stay.bottle.get("/workspace"), copy)
    spring(copy, trap.spring)
    assert mark.exists(), "without protection it runs"
    mark.unlink()
    assert "+done" in stay.diff()
    assert [line for line in stay.pull() if line.startswith("branch ")] != []
    assert repo.git("show", "bottle/reviewer-wip:done") == "done"
    assert not mark.exists()


@pytest.mark.parametrize("name", TRAPS)
def test_what_a_stranger_laid_does_not_run(name: str, repo: Repo, enter: Enter, program: tuple[Path, Path]) -> None:
    """F9: a repository that somebody gave us runs what it says when a user works in it, and not when it goes in."""
    trap, (payload, mark) = TRAPS[name], program
    check_version(trap)
    subprocess.run(["sh", "-c", f"P={payload}\n{trap.lay}"], cwd=repo.path, check=False, capture_output=True)
    mark.unlink(missing_ok=True)
    stay = enter(repo.path)
    stay.sh("echo done >done")
    assert stay.pull() != []
    assert not mark.exists()
    spring(repo.path, trap.spring)
    assert mark.exists(), "without protection it runs"


def test_alternates_lend_nothing(repo: Repo, enter: Enter, tmp_path: Path) -> None:
    """Objects of another repository that the agent names are not the agent's, where a fetch would have given them."""
    private = Repo(tmp_path / "private")
    private.write(secret="hunter2\n")
    commit = private.commit("secret")
    stay = enter(repo.path)
    stay.sh(f"mkdir -p .git/objects/info; echo {private.path}/.git/objects >.git/objects/info/alternates")
    stay.sh(f"echo {commit} >.git/refs/heads/stolen")
    copy = tmp_path / "copy"
    write_tree(stay.bottle.get("/workspace"), copy)
    git(tmp_path, "clone", "-q", "--bare", f"file://{copy}", "naive")
    assert git(tmp_path / "naive", "show", "stolen:secret") == "hunter2"
    stay.sh("echo x >x")
    with suppress(BottleError):  # refused is as good
        stay.pull()
    assert repo.git("log", "--all", "--format=%s").count("secret") == 0
    assert repo.git("cat-file", "-t", commit, check=False) == ""


def test_what_is_shown_runs_nothing_and_steers_no_terminal(repo: Repo, enter: Enter) -> None:
    """Names that the agent chose are told with escapes, so no line is forged."""
    stay = enter(repo.path)
    stay.sh("ln -s / \"$(printf 'x\\nbranch evil\\033[2J')\"; echo x >x")
    assert stay.pull()[1] == "left out: x\\nbranch evil\\x1b[2J (a link that leaves the workspace)"
