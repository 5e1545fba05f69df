"""Files, folders and links on their way into or out of a bottle, as data and as a tar stream."""

import io
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from claude_bottle.errors import BottleError

__all__ = [
    "Entry",
    "FileEntry",
    "FolderEntry",
    "LinkEntry",
    "checked_path",
    "pack",
    "read_tree",
    "unpack",
    "write_tree",
]


class FileEntry(Struct, frozen=True):
    """A regular file; `name` is a relative POSIX path without `..`."""

    name: str
    data: bytes
    mode: int = 0o644


class FolderEntry(Struct, frozen=True):
    """A folder; `.` is the root of the tree itself."""

    name: str
    mode: int = 0o755


class LinkEntry(Struct, frozen=True):
    """A symbolic link; `target` is kept as it is and never followed."""

    name: str
    target: str


Entry = FileEntry | FolderEntry | LinkEntry


def checked_name(name: str) -> str:
    """Return a relative path in its plain form; BottleError if it is absolute or leaves its root."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise BottleError(f"the path {name!r} leaves its tree")
    return str(path)


def checked_path(path: str) -> None:
    """BottleError unless a path is absolute, plain and free of `..`."""
    if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise BottleError(f"{path!r} is not an absolute path in a bottle")


def pack(entries: Iterable[Entry], into: BinaryIO) -> None:
    """Write entries as a tar stream; owners are left to the receiver."""
    import tarfile  # noqa: PLC0415 - a plan can be shown without it

    with tarfile.open(fileobj=into, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            info = tarfile.TarInfo(checked_name(entry.name))
            match entry:
                case FileEntry(data=data, mode=mode):
                    info.mode, info.size = mode, len(data)
                    tar.addfile(info, io.BytesIO(data))
                case FolderEntry(mode=mode):
                    info.mode, info.type = mode, tarfile.DIRTYPE
                    tar.addfile(info)
                case LinkEntry(target=target):
                    info.linkname, info.type = target, tarfile.SYMTYPE
                    tar.addfile(info)


def unpack(stream: BinaryIO) -> Iterator[Entry]:
    """Yield the entries of a tar stream that nobody vouches for.

    Names that leave the tree are an error; devices, sockets and the like are passed over; a hard link
    comes as the file or link that it names. Only permission bits are kept: no setuid, setgid or sticky bit.
    """
    import tarfile  # noqa: PLC0415 - as above

    seen: dict[str, FileEntry | LinkEntry] = {}
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for info in tar:
            name, mode = checked_name(info.name), info.mode & 0o777
            if info.isdir():
                yield FolderEntry(name, mode)
            elif info.issym():
                seen[name] = LinkEntry(name, info.linkname)
                yield seen[name]
            elif info.islnk() and (known := seen.get(checked_name(info.linkname))) is not None:
                yield replace(known, name=name)
            elif info.isfile() and (content := tar.extractfile(info)) is not None:
                entry = FileEntry(name, content.read(), mode)
                seen[name] = entry
                yield entry


def read_tree(root: Path) -> Iterator[Entry]:
    """Yield what lies at `root` on this machine, parents first; links are not followed.

    OSError for what cannot be read: a tree is whole, or an error.
    """
    if not root.is_dir() or root.is_symlink():
        yield _read_entry(root, root.name)
        return
    yield FolderEntry(".", stat.S_IMODE(root.stat().st_mode))
    for folder, folders, files in os.walk(root, onerror=_raise):
        for name in sorted(folders + files):
            path = Path(folder, name)
            if path.is_symlink() or path.is_dir() or path.is_file():
                yield _read_entry(path, path.relative_to(root).as_posix())


def _raise(error: OSError) -> None:
    raise error


def _read_entry(path: Path, name: str) -> Entry:
    if path.is_symlink():
        return LinkEntry(name, str(path.readlink()))
    mode = stat.S_IMODE(path.stat().st_mode) & 0o777
    return FolderEntry(name, mode) if path.is_dir() else FileEntry(name, path.read_bytes(), mode)


def write_tree(entries: Iterable[Entry], dest: Path) -> None:
    """Lay entries below `dest` on this machine; a link that stands in the way is replaced, never followed."""
    dest.mkdir(parents=True, exist_ok=True)
    modes: list[tuple[Path, int]] = []  # set last: a folder may be one that nobody writes to
    for entry in entries:
        parts = PurePosixPath(checked_name(entry.name)).parts
        at = dest
        for part in parts[:-1]:
            at = _real_folder(at / part, 0o755)
        path = at / parts[-1] if parts else dest
        match entry:
            case FolderEntry(mode=mode):
                modes.append((_real_folder(path, 0o755), mode))
            case FileEntry(data=data, mode=mode):
                _clear(path)
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
                    file.write(data)
                    os.fchmod(file.fileno(), mode)
            case LinkEntry(target=target):
                _clear(path)
                path.symlink_to(target)
    for path, mode in reversed(modes):
        path.chmod(mode)


def _real_folder(path: Path, mode: int) -> Path:
    if path.is_symlink() or not path.is_dir():
        _clear(path)
        path.mkdir(mode=mode)
    return path


def _clear(path: Path) -> None:
    if path.is_symlink() or path.exists():
        if path.is_dir() and not path.is_symlink():
            raise BottleError(f"{path} is a folder where a file or link should go")
        path.unlink()
