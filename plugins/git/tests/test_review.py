"""The list of what some tool of the host may execute, of all that came back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from git_harness import Repo, Stay

from bottle_git.review import may_run

Enter = Callable[[Path], Stay]


@pytest.mark.parametrize(
    "path",
    [
        *(".envrc", "sub/.envrc", ".vscode/tasks.json", ".claude/settings.json", ".claude/settings.local.json"),
        *(".mcp.json", ".devcontainer/devcontainer.json", ".githooks/pre-commit", "hooks/x", ".husky/pre-push"),
        *("package.json", "web/package.json", "Makefile", "GNUmakefile", "rules.mk", ".github/workflows/ci.yml"),
        *(".gitlab-ci.yml", "setup.py", "conftest.py", ".gitattributes", ".gitmodules", "Dockerfile", "bottle.yaml"),
        *(".Claude/settings.json", "MAKEFILE", ".cargo/config.toml", "build.rs", "compose.yaml"),
    ],
)
def test_what_may_run(path: str) -> None:
    """F1, F4, F5: settings of editors and agents, hooks, builds, package scripts, CI; whatever their case."""
    assert may_run(path)


@pytest.mark.parametrize("path", ["README.md", "src/main.c", "makefile.txt", "docs/claude/x", "envrc", "hooks.py"])
def test_what_may_not(path: str) -> None:
    """A source is no such file: the list is short enough to be read."""
    assert not may_run(path)


def test_changed_ones_come_first(repo: Repo, enter: Enter) -> None:
    """What the agent changed or made, committed or not, and then what was there before."""
    (repo.path / ".vscode").mkdir()
    repo.write(**{".vscode/tasks.json": "{}\n", "Makefile": "all:\n", "package.json": "{}\n"})
    repo.commit("tools")
    stay = enter(repo.path)
    stay.sh("mkdir .claude; echo {} >.claude/settings.local.json; git add -A; git commit -qm one; echo x >>Makefile")
    assert stay.pull()[2:] == [
        "look at these before you use it, for some tool may execute them:",
        "  changed: .claude/settings.local.json, Makefile",
        "  as they were: .vscode/tasks.json, package.json",
    ]


def test_nothing_of_the_kind_is_no_line(repo: Repo, enter: Enter) -> None:
    """The list warns of what is new; where nothing is, it would only teach to look away."""
    repo.write(Makefile="all:\n")
    repo.commit("tools")
    stay = enter(repo.path)
    stay.sh("echo x >kept")
    assert stay.pull() == ["branch bottle/reviewer-wip: 1 file not committed"]


def test_a_removed_one_is_no_danger(repo: Repo, enter: Enter) -> None:
    """What is gone cannot be executed."""
    repo.write(Makefile="all:\n")
    repo.commit("tools")
    stay = enter(repo.path)
    stay.sh("git rm -q Makefile; git commit -qm gone")
    assert stay.pull() == ["branch bottle/reviewer: 1 commit"]
