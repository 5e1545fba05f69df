"""Where the user's repository is: found by reading its few files, without git and without its configuration."""

import os
import stat
from pathlib import Path

from msgspec import Struct

from claude_bottle.errors import BottleError

__all__ = ["Repository", "find_repository", "is_git_folder", "open_repository", "read_small"]

LONGEST = 1 << 16


class Repository(Struct, frozen=True):
    """A repository: the root of its working tree, its own folder (HEAD, index), and that of objects and branches.

    The last two differ in a linked worktree alone.
    """

    tree: Path
    git: Path
    common: Path

    @property
    def objects(self) -> Path:
        """The folder of its objects."""
        return self.common / "objects"

    @property
    def borrowed(self) -> tuple[str, ...]:
        """The folders that it borrows objects from (`git clone --shared`): a stranger's may be anybody's."""
        path = self.objects / "info" / "alternates"
        lines = os.fsdecode(read_small(path)).splitlines() if path.is_file() else []
        return tuple(line for line in lines if line and not line.startswith("#"))


def find_repository(folder: Path) -> Repository | None:
    """Return the repository that a folder lies in, None if it is in none; BottleError for one that points elsewhere."""
    folder = folder.resolve()
    return next((found for place in (folder, *folder.parents) if (found := open_repository(place))), None)


def open_repository(tree: Path) -> Repository | None:
    """Return the repository whose working tree begins here, None if none does; BottleError as above."""
    dot = tree / ".git"
    try:
        kind = dot.lstat().st_mode
    except OSError:
        return None
    if stat.S_ISDIR(kind):
        return Repository(tree, dot, dot) if is_git_folder(dot) else None
    if stat.S_ISREG(kind):
        return _pointed(tree, dot)
    raise BottleError(f"{dot} is neither a folder nor a file", "a workspace whose .git is a link is not brought in")


def _pointed(tree: Path, dot: Path) -> Repository | None:
    """Follow a `.git` file, but only to a folder that points back: whoever wrote the one did not write the other."""
    word, _, target = read_small(dot).strip().partition(b": ")
    if word != b"gitdir" or not target:
        return None
    git = Path(tree, os.fsdecode(target)).resolve()
    if not (git / "HEAD").is_file():
        raise BottleError(f"{dot} points to {git}, where there is no repository")
    common = git
    if (git / "commondir").is_file():
        common = Path(git, os.fsdecode(read_small(git / "commondir").strip())).resolve()
    if not _points_back(git, dot) or not is_git_folder(common):
        hint = "git worktree repair, or git submodule absorbgitdirs, if it is yours"
        raise BottleError(f"{dot} points to {git}, which does not point back", hint)
    return Repository(tree, git, common)


def _points_back(git: Path, dot: Path) -> bool:
    if (git / "gitdir").is_file():  # a linked worktree
        return Path(git, os.fsdecode(read_small(git / "gitdir").strip())).resolve() == dot.resolve()
    for line in read_small(git / "config").splitlines():  # a submodule: git itself writes this line
        key, _, value = line.partition(b"=")
        if key.strip().lower() == b"worktree":
            return Path(git, os.fsdecode(value.strip().strip(b'"'))).resolve() == dot.parent.resolve()
    return False


def is_git_folder(path: Path) -> bool:
    """Say whether a folder is a repository's own."""
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def read_small(path: Path, longest: int = LONGEST) -> bytes:
    """Return a regular file that is not longer than this; BottleError else. A link is not followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > longest:
                raise BottleError(f"{path} is no file of a repository")
            return file.read(longest + 1)
    except OSError as error:
        raise BottleError(f"{path} cannot be read: {error.strerror}") from error
