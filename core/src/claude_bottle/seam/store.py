"""A small JSON file of one user, which several processes read and write."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from claude_bottle.errors import BottleError
from claude_bottle.seam.folders import private_dir

__all__ = ["Store"]

S = TypeVar("S", bound=Struct)


class Store(Generic[S]):
    """A file (0600) in a folder of the user's own.

    Writers in several processes wait for one another, and a reader sees the old file or the new one. A file
    that cannot be understood is read as `empty`.
    """

    def __init__(self, file: Path, empty: S) -> None:
        self.file = file
        self.empty = empty

    def read(self) -> S:
        """Return what the file holds; BottleError if it is there and cannot be read."""
        try:
            return msgspec.json.decode(self.file.read_bytes(), type=type(self.empty))
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return self.empty
        except OSError as error:
            raise BottleError(f"{self.file} cannot be read: {error.strerror}") from error

    def change(self, change: Callable[[S], S]) -> None:
        """Put what `change` makes of the content in its place, in one step and under the folder's one lock.

        BottleError if that is not possible: then it is as it was.
        """
        folder = os.open(private_dir(self.file.parent), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # ends with the process that holds it
            self._write(msgspec.json.format(msgspec.json.encode(change(self.read()))))
        except OSError as error:
            raise BottleError(f"{self.file} cannot be written: {error.strerror}", "see that there is room") from error
        finally:
            os.close(folder)

    def _write(self, data: bytes) -> None:
        new = self.file.with_name(f"{self.file.name}.new")  # ours alone while the lock is
        new.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(self.file)
        finally:
            new.unlink(missing_ok=True)
