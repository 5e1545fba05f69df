"""What the user should look at before using what came back: files that some tool of this machine may execute."""

import re
from collections.abc import Collection, Sequence

from bottle_git.scratch import Scratch

__all__ = ["listed", "may_run", "review"]

SHOWN = 20
"""Files that are listed by name, of each kind."""

NAMES = re.compile(
    r"\.envrc|\.mcp\.json|\.gitmodules|\.gitattributes|\.gitconfig|\.(?:mise|rtx)\.toml|mise\.toml|\.tool-versions"
    r"|\.(?:bash|zsh)rc|\.profile|\.(?:ex|vim|gdb|lldb)(?:rc|init)|\.npmrc|\.yarnrc(?:\.yml)?|\.pnpmfile\.cjs"
    r"|\.pre-commit-config\.ya?ml|lefthook\.ya?ml|bottle\.ya?ml|\.gitlab-ci\.yml|\.travis\.yml|jenkinsfile|azure-pipelines\.yml"
    r"|(?:gnu)?makefile|.*\.mk|justfile|\.justfile|taskfile\.ya?ml|rakefile|gemfile|gulpfile\.\w+|gruntfile\.\w+"
    r"|package\.json|composer\.json|setup\.py|setup\.cfg|pyproject\.toml|conftest\.py|tox\.ini|noxfile\.py|sitecustomize\.py|.*\.pth"
    r"|build\.rs|build\.gradle(?:\.kts)?|pom\.xml|build\.xml|cmakelists\.txt|configure|flake\.nix|shell\.nix|vagrantfile"
    r"|(?:docker-)?compose(?:\.\w+)?\.ya?ml|(?:.*\.)?(?:docker|container)file|\.git",
    re.IGNORECASE,
)
FOLDERS = re.compile(
    r"\.vscode|\.idea|\.zed|\.cursor|\.claude|\.devcontainer|\.husky|\.?(?:git)?hooks|\.github|\.circleci|\.cargo|\.bundle|\.yarn",
    re.IGNORECASE,
)


def may_run(path: str) -> bool:
    """Say whether some tool executes a file of this path, or what it says, when a user works in its folder."""
    *folders, name = path.split("/")
    return bool(NAMES.fullmatch(name)) or any(FOLDERS.fullmatch(it) for it in folders)


def review(scratch: Scratch, start: str, trees: Sequence[str]) -> list[str]:
    """Return lines that name such files in these trees or commits: first what is not as it was at `start`.

    A `start` of nothing is an empty tree.
    """
    before = start or scratch.run("hash-object", "-t", "tree", "-w", "--stdin").decode().strip()
    words = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=d", before)
    changed = {path for tree in trees for path in _paths(scratch.run(*words, tree))}
    if not changed:
        return []
    there = {path for tree in trees for path in _paths(scratch.run("ls-tree", "-r", "-z", "--name-only", tree))}
    return listed(changed, there - changed)


def listed(changed: Collection[str], same: Collection[str]) -> list[str]:
    """Return lines that name what changed and what is as it was; none where nothing changed."""
    if not changed:
        return []
    lines = ["look at these before you use it, for some tool may execute them:", f"  changed: {_named(changed)}"]
    return [*lines, f"  as they were: {_named(same)}"] if same else lines


def _paths(listed: bytes) -> set[str]:
    paths = (it.decode("utf-8", "surrogateescape") for it in listed.split(b"\0") if it)
    return {path for path in paths if may_run(path)}


def _named(paths: Collection[str]) -> str:
    shown = sorted(paths, key=lambda path: (not may_run(path), path))[:SHOWN]
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(shown) + more
