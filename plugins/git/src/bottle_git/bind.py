"""A workspace that is the folder itself: what of it is mounted how, so that nothing the agent writes runs here.

Every place that a tool of this machine executes, or that leads one elsewhere, is read-only inside. Where there is
none, an empty folder keeps it from being made: git shows no empty folders, here or inside. What lies between such a
place and the workspace is a mount too, for a mount cannot be renamed or removed.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from bottle_git.config import list_file
from bottle_git.folder import guarded
from bottle_git.source import Repository, find_repository, is_git_folder
from claude_bottle.errors import Problem
from claude_bottle.seam.part import Mount

__all__ = ["Bound", "bind_folder"]

WORKSPACE = "/workspace"
MOST = 400
"""Mounts of one bottle; an engine's and the kernel's own limits are far above."""

SETTINGS = (".claude", ".codex", ".devcontainer", ".mcp.json", ".vscode", "bottle.yaml")
"""What agents, editors and we ourselves read at the root of a project, and do what it says."""

COPY = "or workspace: {mode: copy}"

Found = Literal["file", "link", "other", "nothing"]


class Bound(Struct, frozen=True):
    """The mounts of a folder in their order, and why it cannot be bound."""

    mounts: tuple[Mount, ...] = ()
    problems: tuple[Problem, ...] = ()


def bind_folder(folder: Path, manifest: Path | None) -> Bound:
    """Return how a folder is bound; BottleError for a repository that is none."""
    folder = folder.resolve()
    if why := guarded(folder):  # core says so of any mount; here it saves a walk through all of it
        return Bound(problems=(Problem(f"a workspace cannot be {folder}: {why}", "cd to a project"),))
    repository = find_repository(folder)
    if problem := _elsewhere(folder, repository):
        return Bound(problems=(problem,))
    places = _Places(folder)
    for name in SETTINGS:
        places.protect(name)
    if manifest is not None:
        places.protect_path(manifest, "file")
        places.protect_path(manifest.resolve(), "file")
    if repository is None:  # nor does it become one: git takes a folder for its own if it has a HEAD
        places.protect(".git")
        places.protect("HEAD")
    for at in _survey(places):
        if not (folder / at).is_symlink() and is_git_folder(folder / at):
            _protect_repository(places, at)
        else:
            places.protect(at)
    if len(places.mounts) > MOST:
        places.complain(f"{folder} has too many repositories in it: {len(places.mounts)} mounts", "bind one of them")
    order = sorted(places.mounts.items(), key=lambda pair: pair[0].count("/"))
    root = Mount(source=str(folder), target=WORKSPACE, write=True)
    return Bound((root, *(mount for _, mount in order)), tuple(places.problems))


def _elsewhere(folder: Path, repository: Repository | None) -> Problem | None:
    """Return why a folder without its whole repository is not bound: git would not work in it, or reach out of it."""
    if repository is None:
        return None
    if repository.tree != folder:
        return Problem(f"{folder} is a part of the repository {repository.tree}", f"cd {repository.tree}, {COPY}")
    if repository.git != folder / ".git":
        why = f"{folder}/.git leads to {repository.git}, which is not in the folder that would be bound"
        return Problem(why, "workspace: {mode: copy} brings linked worktrees and submodules in")
    return None


def _survey(places: "_Places") -> Iterator[str]:
    """Yield every `.git` below the folder; a socket, pipe or device is a problem: it is answered by this machine."""
    stack = [""]
    while stack:
        at = stack.pop()
        try:
            entries = sorted(os.scandir(places.root / at), key=lambda entry: entry.name)
        except OSError as error:
            places.complain(f"{places.root / at} cannot be looked into: {error.strerror}", f"make it readable, {COPY}")
            continue
        for entry in entries:
            path = f"{at}/{entry.name}".lstrip("/")
            if entry.name == ".git" and ".git" not in at.split("/"):
                yield path
            if entry.is_dir(follow_symlinks=False):
                stack.append(path)
            elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                why = f"{places.root / path} is a socket, pipe or device, and leads out of the bottle"
                places.complain(why, f"stop what serves it and remove it, {COPY}")


def _protect_repository(places: "_Places", git: str) -> None:
    """Protect what git executes, or is led elsewhere by, in the folder of a repository."""
    for name in ("hooks", "modules", "remotes", "branches"):
        places.protect(f"{git}/{name}")
    for name in ("config", "config.worktree", "info/attributes"):
        places.protect(f"{git}/{name}", "file")
    places.protect(f"{git}/commondir", "file", ".\n")  # as if there were none
    if places.find(f"{git}/worktrees") != "nothing":  # others' own, elsewhere
        places.protect(f"{git}/worktrees")
    if places.find(f"{git}/objects/info/alternates") != "nothing":
        why = f"{places.root / git} borrows objects from outside of the folder"
        places.complain(why, f"git repack -a -d, then remove {git}/objects/info/alternates, {COPY}")
    _protect_named(places, git)
    for module in _modules(places.root, f"{git}/modules"):
        places.open(module)
        _protect_repository(places, module)


def _modules(root: Path, at: str) -> Iterator[str]:
    """Yield the repositories of submodules: a name may have slashes in it."""
    for path in sorted((root / at).iterdir()) if (root / at).is_dir() else ():
        if path.is_symlink() or not path.is_dir():
            continue
        place = f"{at}/{path.name}"
        if is_git_folder(path):
            yield place
        else:
            yield from _modules(root, place)


INERT = ("branch.", "remote.", "submodule.", "user.")


def _protect_named(places: "_Places", git: str) -> None:
    """Protect what a repository's configuration names within the folder: hooks, includes, programs."""
    files, seen, tree = [places.root / git / "config"], set[Path](), None
    while files:
        file = files.pop()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        rows = list(list_file(file))
        tree = tree or file.parent / dict(rows).get("core.worktree", "..")
        for key, value in rows:
            if _is_credential(key, value):
                why = f"{file} has a credential ({key}), which the agent would read"
                places.complain(why, "leave it to a credential helper, or workspace: {mode: copy}, which leaves it out")
            if key == "core.hookspath":
                places.protect_path(tree / Path(value).expanduser())
            elif key.startswith("include") and key.endswith(".path"):
                files.append(file.parent / Path(value).expanduser())
                places.protect_path(files[-1], "file")
            elif not key.startswith(INERT):
                for word in value.removeprefix("!").split():
                    if (tree / word).is_file():
                        places.protect_path(tree / word)


def _is_credential(key: str, value: str) -> bool:
    if key.endswith("extraheader"):
        return True
    web = value.startswith(("http://", "https://"))
    return key.endswith(("url", ".insteadof")) and web and "@" in value.partition("//")[2].partition("/")[0]


class _Places:
    """What is mounted, by its path below the folder, and what is wrong."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mounts: dict[str, Mount] = {}
        self.problems: list[Problem] = []

    def complain(self, message: str, hint: str) -> None:
        """Note why the folder cannot be bound."""
        self.problems.append(Problem(message, hint))

    def find(self, at: str) -> Found:
        """Return what is at a path."""
        try:
            mode = (self.root / at).lstat().st_mode
        except OSError:
            return "nothing"
        if stat.S_ISLNK(mode):
            return "link"
        return "file" if stat.S_ISREG(mode) else "other"

    def open(self, at: str) -> None:
        """Let a folder within a protected one be written."""
        self.mounts[at] = self._mount(at, write=True)

    def protect_path(self, path: Path, make: Literal["folder", "file"] = "folder") -> None:
        """Protect a path if it lies in the folder."""
        plain = Path(os.path.normpath(path))
        if plain.is_relative_to(self.root) and plain != self.root:
            self.protect(plain.relative_to(self.root).as_posix(), make)

    def protect(self, at: str, make: Literal["folder", "file"] = "folder", text: str = "") -> None:
        """Make a path read-only, or keep anything from being there; `make` is what stands there meanwhile."""
        parts = at.split("/")
        ways = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        above, write = dict[str, Mount](), True
        for way in ways:
            found = self.find(way)
            if found == "link":
                self.complain(
                    f"{self.root / way} is a link, which cannot be protected", f"put there what it leads to, {COPY}"
                )
                return
            if found == "nothing" and write:
                kind = make if way == at else "folder"
                above[way] = replace(self._mount(way), make=kind, text=text if way == at else "")
                break
            if way in self.mounts:
                write = self.mounts[way].write
            elif write:
                above[way] = self._mount(way, write=way != at)
        if write:
            self.mounts.update(above)
        if write and self.find(at) == "file" and (self.root / at).lstat().st_nlink > 1:
            why = f"{self.root / at} is one file under several names, of which the agent might write another"
            self.complain(why, f"copy it and put the copy in its place, {COPY}")

    def _mount(self, at: str, *, write: bool = False) -> Mount:
        return Mount(source=str(self.root / at), target=f"{WORKSPACE}/{at}", write=write)
