"""The world of the frozen plugins: a folder of the user's, and a journal of the hooks that were called."""

import os
from pathlib import Path

__all__ = ["called", "world"]


def world() -> Path:
    """Return the folder, which the environment names."""
    return Path(os.environ["FROZEN_WORLD"])


def called(hook: str) -> None:
    """Note that a hook was called."""
    with (world() / "journal").open("a", encoding="utf-8") as journal:
        journal.write(f"{hook}\n")
