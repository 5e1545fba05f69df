"""A tar stream that is written while it is read: names as the bytes that they are, links as links, owners left out."""

import io
import os
import stat
import tarfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from claude_bottle.errors import BottleError

__all__ = ["Tar", "streamed"]


class Tar:
    """The end that is written to."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def add(self, name: str, data: bytes) -> None:
        """Add a file of ours."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        self._tar.addfile(info, io.BytesIO(data))

    def take(self, root: Path, path: bytes, into: str = "") -> None:
        """Add what lies at a path below `root`; what is gone, or neither file, folder nor link, is passed over."""
        place, name = os.path.join(os.fsencode(root), path), into + os.fsdecode(path)  # noqa: PTH118 - a name in bytes
        info = tarfile.TarInfo(name)
        try:
            found = os.lstat(place)
            info.mode, info.mtime = found.st_mode & 0o777, int(found.st_mtime)
            if stat.S_ISLNK(found.st_mode):
                info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(os.readlink(place))  # noqa: PTH115 - as above
                self._tar.addfile(info)
            elif stat.S_ISDIR(found.st_mode):
                info.type = tarfile.DIRTYPE
                self._tar.addfile(info)
            elif stat.S_ISREG(found.st_mode):
                with open(os.open(place, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:  # noqa: PTH123 - as above
                    info.size = os.fstat(file.fileno()).st_size
                    self._tar.addfile(info, file)
        except FileNotFoundError:
            return
        except PermissionError as error:
            hint = "make it readable, or let git ignore it"
            raise BottleError(f"{os.fsdecode(place)!r} cannot be read", hint) from error


@contextmanager
def streamed(write: Callable[[Tar], None]) -> Generator[BinaryIO]:
    """Yield the end that is read, while `write` fills the other in a thread; what it raised is raised at the end."""
    failed: list[BaseException] = []
    ours, theirs = os.pipe()

    def run() -> None:
        try:
            with (
                open(theirs, "wb", 1 << 20) as pipe,  # noqa: PTH123 - a descriptor has no path
                tarfile.open(
                    fileobj=pipe, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
                ) as tar,
            ):
                write(Tar(tar))
        except BrokenPipeError:
            return  # whoever read has failed, and says why
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            failed.append(error)

    thread = threading.Thread(target=run, name="tar", daemon=True)
    with open(ours, "rb") as stream:  # noqa: PTH123 - as above
        thread.start()
        try:
            yield stream
        except BottleError:
            stream.close()  # a writer that still waits is told
            thread.join()
            if failed:
                raise failed[0] from None
            raise
    thread.join()
    if failed:
        raise failed[0]
