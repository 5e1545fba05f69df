"""Branches of a bottle in the user's repository: named so that none is overwritten, made without git looking on."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bottle_git import stay
from bottle_git.judge import Barred
from bottle_git.refs import create_ref, own_like, read_heads, read_refs
from bottle_git.scratch import Scratch
from bottle_git.settings import read_identity
from bottle_git.source import Repository
from claude_bottle.errors import NameTakenError
from claude_bottle.seam.names import candidates, taken_message

__all__ = ["HEAD", "Found", "Made", "make_branches"]

HEAD, WIP = "HEAD", "wip"
"""What a branch of ours holds: what is checked out inside, what is not committed there; else a name inside."""


class Found(Struct, frozen=True):
    """What is new in a bottle, judged, in a repository of our own. `heads` are names inside and commits, HEAD first.

    `head` is the commit that is checked out inside; `tree` the working tree where that has something of its own.
    `dropped` is what may not come out of it.
    """

    head: str
    heads: tuple[tuple[str, str], ...] = ()
    tree: str = ""
    dropped: tuple[Barred, ...] = ()


class Made(Struct, frozen=True):
    """What is now known of a repository, and what there is to tell."""

    part: stay.Part
    lines: tuple[str, ...]


def make_branches(scratch: Scratch, part: stay.Part, found: Found, slug: str) -> Made:
    """Make what is new branches of the user's repository; NameTakenError if somebody else took a name meanwhile."""
    if not found.heads and not found.tree:
        return Made(part, ())
    names = _Names(scratch, part, found, slug)
    wanted = [(inner, names.of(inner, commit), commit) for inner, commit in found.heads]
    lines = [f"branch {name}: {_commits(scratch, commit)}{_of(inner)}" for inner, name, commit in wanted]
    if found.tree:
        commit = _commit(scratch, part, found, names.continued(WIP, ""))
        wanted.append((WIP, f"{names.base}-wip", commit))
        lines.append(f"branch {names.base}-wip: {_files(scratch, found)} not committed")
    _install(scratch, part.repository, [commit for _, _, commit in wanted])
    for inner, name, commit in wanted:
        old = names.continued(inner, commit)
        create_ref(part.repository, f"refs/heads/{name}", commit, old.commit if old and old.name == name else None)
        branches = {**dict(part.branches), inner: stay.Branch(name, commit)}
        part = replace(part, branches=tuple(branches.items()))
    return Made(replace(part, base=names.base, seen=found.tree or part.seen), tuple(lines))


class _Names:
    """Which branch takes what: the bottle's own where nothing of it is lost, else a free one."""

    def __init__(self, scratch: Scratch, part: stay.Part, found: Found, slug: str) -> None:
        self._scratch, self._mine = scratch, dict(part.branches)
        self._refs = read_refs(part.repository)
        self._checked_out = read_heads(part.repository)
        self._free = self._candidates(f"bottle/{slug}")
        needs = list(self._needs(found))
        fits = all(part.base and self._fits(part.base, inner, commit) for inner, commit in needs)
        self.base = part.base if fits else next(self._free)

    def _needs(self, found: Found) -> Iterator[tuple[str, str]]:
        yield from (pair for pair in found.heads if pair[0] == HEAD)
        if found.tree:
            yield WIP, ""

    def _fits(self, base: str, inner: str, commit: str) -> bool:
        name = f"{base}-wip" if inner == WIP else base
        old = self.continued(inner, commit)
        return old.name == name if old else self._is_free(name)

    def of(self, inner: str, commit: str) -> str:
        """Return the name for what is new."""
        if inner == HEAD:
            return self.base
        old = self.continued(inner, commit)
        return old.name if old else next(self._free)

    def continued(self, inner: str, commit: str) -> stay.Branch | None:
        """Return the bottle's own branch if it may go on to this commit; empty: one that is made to follow it."""
        old = self._mine.get(inner)
        if old is None or self._refs.get(f"refs/heads/{old.name}") != old.commit:
            return None
        if f"refs/heads/{old.name}" in self._checked_out:
            return None
        if commit and inner != WIP:
            return old if self._scratch.holds("merge-base", "--is-ancestor", old.commit, commit) else None
        return old

    def _candidates(self, base: str) -> Iterator[str]:
        for name in candidates(base):
            if self._is_free(name) and self._is_free(f"{name}-wip"):
                yield name
        raise NameTakenError(taken_message(base), "rename a branch `bottle`, and delete those that you have merged")

    def _is_free(self, name: str) -> bool:
        full = f"refs/heads/{name}"
        return not any(it == full or it.startswith(f"{full}/") or full.startswith(f"{it}/") for it in self._refs)


def _commit(scratch: Scratch, part: stay.Part, found: Found, before: stay.Branch | None) -> str:
    """Make a commit of the working tree, by the user, on what is checked out inside and on what came out before."""
    name, mail = read_identity(part.repository)
    env = {f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in (
        ("NAME", name or "claude-bottle"), ("EMAIL", mail or "claude-bottle@localhost")
    )}  # fmt: skip
    parents = [word for it in (found.head, before.commit if before else "") if it for word in ("-p", it)]
    message = b"What was not committed in the bottle\n"
    return scratch.run("commit-tree", found.tree, *parents, stdin=message, env=env).decode().strip()


def _install(scratch: Scratch, repository: Repository, commits: list[str]) -> None:
    """Copy what is new, and nothing else that came, into the user's objects: a pack, and then its index."""
    folder = scratch.path / "out"
    folder.mkdir(exist_ok=True)
    with scratch.file("wanted", [*commits, *(f"^{it}" for it in scratch.known())]) as stdin:
        words = ("pack-objects", "--revs", "-q", "--delta-base-offset", str(folder / "pack"))
        name = scratch.run(*words, stdin=stdin).decode().strip()
    packs = repository.objects / "pack"
    if not packs.is_dir():
        packs.mkdir()
        own_like(packs, repository.objects)
    for suffix in ("pack", "idx"):
        _place(folder / f"pack-{name}.{suffix}", packs / f"pack-{name}.{suffix}", repository.objects)


def _place(source: Path, target: Path, model: Path) -> None:
    if target.exists():  # named after what is in it
        return
    unfinished = target.with_name(f"tmp_{target.name}")
    try:
        with source.open("rb") as data, unfinished.open("xb") as file:
            shutil.copyfileobj(data, file)
            file.flush()
            os.fchmod(file.fileno(), 0o444)
            own_like(file.fileno(), model)
            os.fsync(file.fileno())
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _commits(scratch: Scratch, commit: str) -> str:
    count = int(scratch.run("rev-list", "--count", commit, "--not", "--all"))
    return "1 commit" if count == 1 else f"{count} commits"


def _of(inner: str) -> str:
    return "" if inner == HEAD else f" ({inner.removeprefix('refs/heads/').removeprefix('refs/')} inside)"


def _files(scratch: Scratch, found: Found) -> str:
    if not found.head:
        count = len(scratch.run("ls-tree", "-r", "-z", "--name-only", found.tree).split(b"\0")) - 1
    else:
        words = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", found.head, found.tree)
        count = len(scratch.run(*words).split(b"\0")) - 1
    return "1 file" if count == 1 else f"{count} files"
