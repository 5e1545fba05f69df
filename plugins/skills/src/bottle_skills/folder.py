"""One skill as it lies on this machine, walked from open folder to open folder, so that no link leads out of it.

Every name is looked up in a folder that is already open and is never followed if it is a link: whatever is
exchanged between the check and the copy, nothing outside the skill is read.
"""

import os
import posixpath
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from claude_bottle.errors import LaunchError
from claude_bottle.seam.printable import printable
from claude_bottle.seam.tree import Entry, FileEntry, FolderEntry, LinkEntry

__all__ = ["LARGEST", "MOST", "Fault", "find_faults", "read_skill"]

MOST, LARGEST, DEEPEST = 20_000, 256 << 20, 40
"""Entries, bytes and nested folders that one skill may have: more is no skill but something that lies in it."""

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

A_SKILL = "a skill is a folder with a file SKILL.md"

Content = Callable[[int], bytes]
"""What is read of an open file."""


class Fault(NamedTuple):
    """Why a skill cannot be copied, in a sentence with the path, and what to do about it."""

    what: str
    cure: str | None = None


class UnfitError(Exception):
    """There is no going on in this skill."""

    def __init__(self, what: str, cure: str | None = None) -> None:
        super().__init__(what)
        self.fault = Fault(what, cure)


def find_faults(folder: Path, name: str) -> list[Fault]:
    """Return all that keeps a skill from being copied; every file of it is opened, none is read."""
    return [found for found in Walk(folder, name, lambda _: b"").run() if isinstance(found, Fault)]


def read_skill(folder: Path, name: str) -> Iterator[Entry]:
    """Yield a skill, names relative to the folder of all; LaunchError with the first fault."""
    for found in Walk(folder, name, read).run():
        if isinstance(found, Fault):
            raise LaunchError(found.what, found.cure)
        yield found


def read(descriptor: int) -> bytes:
    """Return what is in an open file, up to one byte more than a skill may have."""
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(LARGEST + 1)


class Walk:
    """One way through a skill, which counts what it meets."""

    def __init__(self, folder: Path, name: str, content: Content) -> None:
        self._folder, self._name, self._content = folder, name, content
        self._entries = self._bytes = 0

    def run(self) -> Iterator[Entry | Fault]:
        """Yield the skill's folder and all below it, parents first; what cannot be copied is a fault."""
        try:
            with ExitStack() as stack:
                top = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, top)
                skill = self._enter(top, stack)
                yield FolderEntry(self._name, mode_of(os.fstat(skill)))
                yield from self._below(skill, self._name, 1)
        except FileNotFoundError:
            yield self._missing()
        except UnfitError as unfit:
            yield unfit.fault
        except OSError as error:
            yield Fault(f"{self._path(self._name)} cannot be read: {error.strerror}")

    def _enter(self, top: int, stack: ExitStack) -> int:
        """Open the skill's folder, or the one in the same place that its link names."""
        parts = [self._name]
        if stat.S_ISLNK(os.lstat(self._name, dir_fd=top).st_mode):
            target = os.readlink(self._name, dir_fd=top)
            parts = [part for part in target.split("/") if part not in {"", "."}]
            if target.startswith("/") or ".." in parts or not parts:
                what = f"{self._path(self._name)} is a link that leaves the folder of the skills: {printable(target)}"
                raise UnfitError(what, "put the skill itself there, or a link to its neighbour")
        folder = top
        for part in parts:
            try:
                folder = os.open(part, FOLDER, dir_fd=folder)
            except NotADirectoryError:
                raise UnfitError(f"{self._path(self._name)} is no folder", A_SKILL) from None
            stack.callback(os.close, folder)
        return folder

    def _below(self, folder: int, above: str, depth: int) -> Iterator[Entry | Fault]:
        """Yield what an open folder holds."""
        if depth > DEEPEST:
            raise UnfitError(f"{self._path(above)} lies more than {DEEPEST} folders deep")
        for name in sorted(os.listdir(folder)):
            self._count(entries=1)
            path = f"{above}/{name}"
            try:
                yield from self._each(folder, name, path, depth)
            except OSError as error:  # also what was exchanged for a link just now
                yield Fault(f"{self._path(path)} cannot be read: {error.strerror}")

    def _each(self, folder: int, name: str, path: str, depth: int) -> Iterator[Entry | Fault]:
        found = os.lstat(name, dir_fd=folder)
        if stat.S_ISDIR(found.st_mode):
            with opened(name, FOLDER, folder) as child:
                yield FolderEntry(path, mode_of(os.fstat(child)))
                yield from self._below(child, path, depth + 1)
        elif stat.S_ISLNK(found.st_mode):
            yield self._link(os.readlink(name, dir_fd=folder), path)
        elif stat.S_ISREG(found.st_mode):
            with opened(name, FILE, folder) as file:
                yield self._file(file, path)
        else:
            yield self._special(path)

    def _link(self, target: str, path: str) -> LinkEntry | Fault:
        inside = path.partition("/")[2]
        leads = posixpath.normpath(posixpath.join(posixpath.dirname(inside), target))
        if target.startswith("/") or leads.split("/")[0] == "..":
            what = f"{self._path(path)} is a link that leaves the skill: {printable(target)}"
            return Fault(what, "put in its place what it names, or a relative link within the skill")
        return LinkEntry(path, target)

    def _file(self, file: int, path: str) -> FileEntry | Fault:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            return self._special(path)
        data = self._content(file)
        self._count(size=max(len(data), status.st_size))
        return FileEntry(path, data, mode_of(status))

    def _special(self, path: str) -> Fault:
        return Fault(f"{self._path(path)} is neither file, folder nor link", "remove it from the skill")

    def _count(self, entries: int = 0, size: int = 0) -> None:
        self._entries, self._bytes = self._entries + entries, self._bytes + size
        if self._entries > MOST or self._bytes > LARGEST:
            what = f"{self._path(self._name)} has more than {MOST} files or {LARGEST >> 20} MiB"
            raise UnfitError(what, "keep what it works with elsewhere: a skill is copied at every launch")

    def _missing(self) -> Fault:
        try:
            there = sorted(path.name for path in self._folder.iterdir() if path.is_dir() and not path.is_symlink())
        except OSError:
            there = []
        cure = f"skills there: {printable(', '.join(there))}" if there else A_SKILL
        return Fault(f"there is no skill {self._path(self._name)}", cure)

    def _path(self, path: str) -> str:
        return printable(f"{self._folder}/{path}")


@contextmanager
def opened(name: str, flags: int, folder: int) -> Generator[int]:
    """Open a name in an open folder."""
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def mode_of(status: os.stat_result) -> int:
    """Return the permission bits alone: no setuid, setgid or sticky bit."""
    return status.st_mode & 0o777
