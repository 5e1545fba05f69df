"""What changed in a bound folder of what some tool of this machine may execute: looked for without running anything."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from bottle_git.judge import leaves
from bottle_git.review import listed, may_run
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.part import Mount
from claude_bottle.seam.printable import printable

__all__ = ["note", "tell"]

MOST = 1_000_000
"""Files and folders that are looked at: whoever is inside decides how many there are."""

UNDER_WAY = ("git-rebase-todo", "todo")
"""In a repository's folder: steps that `git rebase --continue` executes."""

LEADING = ("config", "config.worktree", "commondir")
"""In a repository without a `.git`: what executes something, or leads elsewhere."""

Mark = tuple[int, int]
"""Inode, and when it last changed, which no program can set; a folder has no time, for each file in it changes that."""

_BEFORE: dict[str, dict[str, Mark]] = {}


def note(bottle: Bottle, folder: Path) -> None:
    """Remember a folder as it is before the agent is let in."""
    _BEFORE[bottle.launch] = _look(folder, [])


def tell(bottle: Bottle, folder: Path, mounts: Sequence[Mount] = ()) -> list[str]:
    """Return lines that name what may be executed: first what is not as it was. `mounts` are the folder's."""
    blind: list[str] = []
    open_now = [it.target for it in mounts if it.make and not os.path.lexists(it.source)]
    before, now = _BEFORE.get(bottle.launch, {}), _look(folder, blind)
    changed = {path for path, mark in now.items() if before.get(path) != mark}
    same = {path for path in now.keys() - changed if may_run(path) and path != ".git"}
    lines = [
        *listed(changed, same),
        *(f"could not be looked at: {it}" for it in blind[:1]),
        *(f"no longer kept from being made, for what stood here was removed: {it}" for it in open_now),
    ]
    return [printable(line) for line in lines]


def _look(folder: Path, blind: list[str]) -> dict[str, Mark]:
    """Return what may be executed below a folder, by path; no link is followed. `blind` takes what was not seen."""
    found: dict[str, Mark] = {}
    for count, (path, entry) in enumerate(_walk(folder, blind)):
        if count > MOST:
            blind.append(f"more than {MOST:,} files")
            break
        try:
            seen = entry.stat(follow_symlinks=False)
        except OSError:
            continue  # gone meanwhile
        if _matters(path, entry, seen):
            found[path] = (seen.st_ino, 0 if stat.S_ISDIR(seen.st_mode) else seen.st_ctime_ns)
    return found


def _matters(path: str, entry: os.DirEntry[str], seen: os.stat_result) -> bool:
    within = ".git" in path.split("/")[:-1]
    if stat.S_ISLNK(seen.st_mode):  # git makes none in its own folder, and writes through one
        return within or leaves(path, str(Path(entry.path).readlink()))
    if stat.S_ISDIR(seen.st_mode):
        return entry.name == ".git" or (not within and _is_repository(entry.path))
    if within:
        return entry.name in UNDER_WAY
    leads = entry.name in LEADING and _is_repository(os.path.dirname(entry.path))  # noqa: PTH120 - many files
    return leads or may_run(path) or bool(seen.st_mode & 0o6111)


def _is_repository(path: str) -> bool:
    return all(os.path.lexists(f"{path}/{name}") for name in ("HEAD", "objects", "refs"))


def _walk(folder: Path, blind: list[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    stack = [""]
    while stack:
        at = stack.pop()
        try:
            entries = list(os.scandir(folder / at))
        except FileNotFoundError:
            continue
        except OSError as error:  # unreadable, or deeper than a path can be
            blind.append(f"{at or folder} ({error.strerror})")
            continue
        for entry in entries:
            path = f"{at}/{entry.name}" if at else entry.name
            yield path, entry
            if entry.is_dir(follow_symlinks=False) and not path.endswith(".git/objects"):
                stack.append(path)
