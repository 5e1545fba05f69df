"""A folder as a workspace: how much there is to copy where it is no repository, and which are never one."""

import os
from pathlib import Path

from msgspec import Struct

__all__ = ["MOST_BYTES", "MOST_FILES", "Size", "guarded", "measure"]

MOST_FILES = 10_000
MOST_BYTES = 256 << 20
"""What is copied of a plain folder without a question."""


class Size(Struct, frozen=True):
    """Files and bytes of a folder, counted until it is past a limit."""

    files: int
    size: int

    @property
    def large(self) -> bool:
        """Whether it is past a limit."""
        return self.files > MOST_FILES or self.size > MOST_BYTES

    def __str__(self) -> str:
        more = "more than " if self.large else ""
        files = "1 file" if self.files == 1 else f"{self.files:,} files"
        return f"{more}{files}, {self.size >> 20:,} MiB"


def measure(folder: Path) -> Size:
    """Count what a copy would hold; links are not followed."""
    files = size = 0
    for place, _folders, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - many files
            except FileNotFoundError:
                continue
            files += 1
            if (found := Size(files, size)).large:
                return found
    return Size(files, size)


def guarded(folder: Path) -> str:
    """Return why a folder is never a workspace, empty if it may be one: home and what lies above it hold everything."""
    home = Path.home().resolve()
    if folder.resolve() == home:
        return "your home holds your keys and every other project"
    return f"{folder} holds your home" if folder.resolve() in home.parents else ""
