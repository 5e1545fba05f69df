"""Which processes a bottle consists of, and which of them still run."""

# ruff: noqa: INP001 - a script's neighbour, not part of a package

import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["running", "tree"]


def tree(root: int) -> Mapping[int, str]:
    """Return a process and all below it: pid, and when it started (in ticks since boot, to know it again)."""
    found = {pid: stat for pid, stat in _stats().items() if pid == root}
    size = 0
    while len(found) > size:
        size = len(found)
        found |= {pid: stat for pid, stat in _stats().items() if int(stat[1]) in found}
    return {pid: stat[19] for pid, stat in found.items()}


def running(processes: Mapping[int, str], patience: float) -> set[int]:
    """Return which of these processes still run after `patience` seconds at most."""
    until = time.monotonic() + patience
    while True:
        stats = _stats()
        left = {pid for pid, start in processes.items() if pid in stats and stats[pid][19] == start}
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.05)


def _stats() -> dict[int, list[str]]:
    """Return the fields of each process's stat file behind its name: state, parent, … start time."""
    stats: dict[int, list[str]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # it ended meanwhile
            fields = text.rpartition(")")[2].split()
            if fields[0] != "Z":  # ended, and not yet collected by its parent
                stats[int(folder.name)] = fields
    return stats
