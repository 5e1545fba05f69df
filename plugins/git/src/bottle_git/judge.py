"""What may not come out, beyond what `git fsck` refuses: links that leave the tree, or lead into a repository."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from bottle_git.scratch import Scratch
from claude_bottle.errors import BottleError
from claude_bottle.seam.printable import printable

__all__ = ["REPOSITORY", "Barred", "is_dot_git", "judge", "leaves", "leaving"]

LONGEST = 4096
"""Bytes of a link's target; no system takes more."""

IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""Code points that HFS+ leaves out when it compares names; as in git's own utf8.c."""

LINK, COMMIT = "120000", "160000"

REPOSITORY = "a repository of its own"


def is_dot_git(name: str) -> bool:
    """Say whether some file system would take a name for `.git`: HFS+ ignores code points, NTFS case and endings."""
    if IGNORED.sub("", name).lower() == ".git":
        return True
    return any(part.partition(":")[0].rstrip(" .").lower() in {".git", "git~1"} for part in name.split("\\"))


def leaves(path: str, target: str) -> bool:
    """Say whether a link at a path of a tree leads out of that tree, or into a repository's own folder."""
    if target.startswith("/") or not target:
        return True
    at = path.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            if not at:
                return True
            at.pop()
        elif is_dot_git(part):
            return True
        elif part not in {"", "."}:
            at.append(part)
    return False


def judge(scratch: Scratch, tips: Sequence[str]) -> None:
    """BottleError for a commit, of those that were not there before, with a link that may not come out."""
    commits = scratch.run("rev-list", *tips, "--not", "--all") if tips else b""
    if not commits:
        return
    words = ("--stdin", "-r", "-m", "--root", "-z", "--no-commit-id", "--no-renames")
    listed = scratch.run("diff-tree", *words, stdin=commits)
    for change in _changes(listed):
        if why := _barred(scratch, change):
            hint = "take it out of the commits, or move it to where it is not committed"
            raise BottleError(printable(f"a commit has {change.path}, {why}"), hint)


class Barred(Struct, frozen=True):
    """A path of the working tree that may not come out, why, and what stood there before (mode and object)."""

    path: str
    why: str
    before: tuple[str, str] | None = None


def leaving(scratch: Scratch, commit: str, before: str) -> Iterator[Barred]:
    """Yield what a commit of the working tree has that may not come out; `before` is its parent, or empty."""
    words = [before, commit] if before else ["--root", "--no-commit-id", commit]
    for change in _changes(scratch.run("diff-tree", "-r", "-z", "--no-renames", *words)):
        stood = (change.old_mode, change.old) if int(change.old_mode, 8) else None
        if why := _barred(scratch, change):
            yield Barred(change.path, why, stood)
        elif change.mode == COMMIT and change.old_mode != COMMIT:
            yield Barred(change.path, REPOSITORY, stood)


class _Change(NamedTuple):
    old_mode: str
    mode: str
    old: str
    new: str
    path: str


def _changes(listed: bytes) -> Iterator[_Change]:
    """Read what `diff-tree -z` lists: `:OLD NEW OLDOBJECT NEWOBJECT STATUS`, and then the path."""
    fields = listed.split(b"\0")
    for head, path in zip(fields[::2], fields[1::2], strict=False):
        old_mode, mode, old, new, _ = head.decode("ascii").removeprefix(":").split(" ")
        yield _Change(old_mode, mode, old, new, path.decode("utf-8", "surrogateescape"))


def _barred(scratch: Scratch, change: _Change) -> str:
    leaving = change.mode == LINK and leaves(change.path, target_of(scratch, change.new))
    return "a link that leaves the workspace" if leaving else ""


def target_of(scratch: Scratch, blob: str) -> str:
    """Return where a link leads, empty for one that is too long."""
    if int(scratch.run("cat-file", "-s", blob)) > LONGEST:
        return ""
    return scratch.run("cat-file", "blob", blob).decode("utf-8", "surrogateescape")
