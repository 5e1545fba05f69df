"""Locks between the launches of one user: what the engine itself does not keep apart."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from threading import Event

from claude_bottle.errors import LaunchError
from claude_bottle.seam.folders import cache_dir, private_dir

__all__ = ["NETWORKS", "locked"]

NETWORKS = "networks"
"""Held while a network is made: the engine looks for its name and takes it in two steps; two of one name are none."""


@contextmanager
def locked(name: str, ended: Event | None = None) -> Generator[None]:
    """Hold a lock, waiting for it; LaunchError once `ended` is set. It goes with the process.

    Without `ended` nothing is waited for: BlockingIOError if somebody has it.
    """
    folder = private_dir(private_dir(private_dir(cache_dir()) / "docker") / "locks")
    fd = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if ended is None:
                    raise
                if ended.is_set():
                    raise LaunchError("given up") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(fd)
