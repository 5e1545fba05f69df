"""The branches and tags of a repository, read and written as files: git would read the configuration beside them."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from bottle_git.source import Repository, read_small
from claude_bottle.errors import BottleError, NameTakenError

__all__ = ["Head", "create_ref", "is_ref", "read_head", "read_heads", "read_refs"]

OBJECT = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
BAD = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|[./]$")
PACKED = 1 << 28
DEEPEST = 5  # symbolic references


class Head(Struct, frozen=True):
    """What is checked out: a branch's full name, or None where HEAD is detached; a commit, or None before the first."""

    branch: str | None
    commit: str | None


def is_ref(name: str) -> bool:
    """Say whether git would have this full name."""
    return name.startswith("refs/") and not BAD.search(name)


def read_refs(repository: Repository) -> dict[str, str]:
    """Return full name and object of each; what is no name or no object is passed over."""
    return dict(_packed(repository.common)) | dict(_loose(repository.common))


def _packed(common: Path) -> Iterator[tuple[str, str]]:
    path = common / "packed-refs"
    if not os.path.lexists(path):
        return
    for line in read_small(path, PACKED).splitlines():
        found, _, name = line.partition(b" ")
        if OBJECT.fullmatch(found) and is_ref(os.fsdecode(name)):
            yield os.fsdecode(name), found.decode()


def _loose(common: Path) -> Iterator[tuple[str, str]]:
    for folder, _folders, files in os.walk(common / "refs"):
        for file in files:
            path = Path(folder, file)
            name = path.relative_to(common).as_posix()
            if not is_ref(name):
                continue
            with suppress(BottleError):
                found = read_small(path).strip()
                if OBJECT.fullmatch(found):
                    yield name, found.decode()


def read_head(repository: Repository, refs: Mapping[str, str]) -> Head:
    """Return what is checked out in this worktree."""
    text = read_small(repository.git / "HEAD").strip()
    if OBJECT.fullmatch(text):
        return Head(None, text.decode())
    for _ in range(DEEPEST):
        name = os.fsdecode(text.removeprefix(b"ref:").strip())
        if not text.startswith(b"ref:") or not is_ref(name):
            break
        if name in refs or not (repository.common / name).is_file():
            return Head(name, refs.get(name))
        text = read_small(repository.common / name).strip()
    raise BottleError(f"{repository.git / 'HEAD'} names neither a branch nor a commit")


def read_heads(repository: Repository) -> set[str]:
    """Return the branches that are checked out somewhere, in any worktree of this repository."""
    found: set[str] = set()
    for path in (repository.common / "HEAD", *(repository.common / "worktrees").glob("*/HEAD")):
        with suppress(BottleError):
            found.add(os.fsdecode(read_small(path).strip().removeprefix(b"ref:").strip()))
    return found


def create_ref(repository: Repository, name: str, commit: str, old: str | None) -> None:
    """Set a branch that is at `old`, or make one that is not there; NameTakenError if it is elsewhere or in the way.

    Locked as git locks it: whoever else writes it waits or fails, and so do we.
    """
    path = repository.common / name
    lock = path.with_name(f"{path.name}.lock")
    try:
        _make_parents(repository, path.parent)
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    except (FileExistsError, NotADirectoryError) as error:
        raise NameTakenError(f"{name} is in use") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(f"{commit}\n".encode())
            file.flush()
            os.fsync(file.fileno())
            own_like(file.fileno(), repository.objects)
        refs = read_refs(repository)
        below = any(it.startswith(f"{name}/") or name.startswith(f"{it}/") for it in refs)
        if refs.get(name) != old or below or path.is_dir():
            raise NameTakenError(f"{name} is in use")
        lock.rename(path)
    finally:
        lock.unlink(missing_ok=True)


def _make_parents(repository: Repository, folder: Path) -> None:
    """Make the folders of a branch's name; a link among them is nothing that git makes."""
    for parent in (*reversed(folder.relative_to(repository.common).parents), folder.relative_to(repository.common)):
        path = repository.common / parent
        if path.is_symlink():
            raise BottleError(f"{path} is a link")
        if not path.is_dir():
            path.mkdir()
            own_like(path, repository.objects)


def own_like(what: int | Path, model: Path) -> None:
    """Give a file to whom the repository belongs, where root works in someone else's."""
    if os.geteuid() == 0:
        found = model.stat()
        os.chown(what, found.st_uid, found.st_gid)
