"""Tar archives, in which files go into a container and come out of it."""

import io
import tarfile
from collections.abc import Iterator, Sequence

from msgspec import Struct

__all__ = ["Archive", "Member", "pack_archive", "unpack_archive"]

Archive = Sequence[tuple[str, bytes | None, int, int]]
"""Name, content (None: a folder), mode and owner (uid and gid alike) of each member."""


class Member(Struct, frozen=True):
    """A file, a link or a folder of an archive; only a regular file has data."""

    name: str
    data: bytes | None


def pack_archive(members: Archive) -> bytes:
    """Return a tar archive for `Engine.put_archive`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data, mode, owner in members:
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid = mode, owner, owner
            if data is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def unpack_archive(data: bytes) -> Iterator[Member]:
    """Yield the members of an archive."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar:
            content = tar.extractfile(info) if info.isfile() else None
            yield Member(info.name, content.read() if content else None)
