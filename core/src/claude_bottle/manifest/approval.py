"""The store of approved manifests: which file was accepted, with which bytes."""

import fcntl
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec
from msgspec import Struct, field

from claude_bottle.errors import BottleError
from claude_bottle.manifest.find import Found
from claude_bottle.seam.folders import private_dir

__all__ = ["Approvals", "Status", "is_vouched"]

Status = Literal["approved", "new", "changed"]
"""`changed`: other bytes of this file were approved."""


def nothing() -> Mapping[str, str]:
    """Return what an empty store holds."""
    return MappingProxyType({})


class Store(Struct, frozen=True, kw_only=True):
    """The store's file: absolute path to the SHA-256 of the bytes, in hex."""

    version: Literal[1] = 1
    manifests: Mapping[str, str] = field(default_factory=nothing)


class Approvals:
    """What one user has approved, in `approved.json` (0600) of a state folder.

    Writers in several processes wait for one another, and a reader sees the old file or the new one. A store
    that cannot be understood approves nothing. The hash is that of the bytes that were read and shown, so a
    file that changes meanwhile is not approved with them.
    """

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir
        self.file = state_dir / "approved.json"

    def status(self, path: Path, sha256: str) -> Status:
        """Return how a manifest with these bytes stands."""
        known = self.read().get(key(path))
        if known is None:
            return "new"
        return "approved" if known == sha256 else "changed"

    def approve(self, path: Path, sha256: str) -> None:
        """Note that the user accepts a manifest with these bytes, in place of any others."""
        private_dir(self.folder)
        with self.locked():
            store = Store(manifests={**self.read(), key(path): sha256})
            self.write(msgspec.json.format(msgspec.json.encode(store)))

    def read(self) -> Mapping[str, str]:
        """Return the hash of each approved path."""
        try:
            return msgspec.json.decode(self.file.read_bytes(), type=Store).manifests
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return {}
        except OSError as error:
            raise BottleError(f"{self.file} cannot be read: {error.strerror}") from error

    @contextmanager
    def locked(self) -> Generator[None, None, None]:
        """Hold the one lock of all writers; it ends with the process that holds it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        lock = os.open(self.folder / "approved.lock", flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def write(self, data: bytes) -> None:
        """Replace the store's file in one step; the lock makes the name of the new one ours alone."""
        new = self.folder / "approved.json.new"
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(self.file)


def key(path: Path) -> str:
    """Return the name under which a path is approved: a link stands for the file behind it."""
    return os.path.realpath(path)


def is_vouched(found: Found, config_dir: Path) -> bool:
    """Whether `--yes` may accept a manifest that was never approved.

    True for one named with `--file`, and for one in the user's own configuration folder.
    """
    return found.how == "flag" or Path(key(found.path)).parent == Path(key(config_dir))
