"""Limits on memory and processes by control groups, where this machine lets us make one (version 1 or 2)."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["CONTROLLERS", "Parents", "add_process", "find_parents", "make_cgroups", "remove_cgroups"]

CONTROLLERS = ("memory", "pids")
PATIENCE = 2.0  # seconds that the kernel may take to let go of the last process


class Parents(NamedTuple):
    """The folder in which a group can be made, by controller; `unified` is version 2, one folder for all."""

    folders: Mapping[str, Path]
    unified: bool


def find_parents(proc: Path = Path("/proc/self")) -> Parents:
    """Return where groups can be made that limit memory and processes; nothing is made.

    A group of ours is below one that already holds this process, so that no outer limit is left.
    """
    own = own_groups((proc / "cgroup").read_text(encoding="utf-8"))
    mounts = [line.split() for line in (proc / "mountinfo").read_text(encoding="utf-8").splitlines()]
    version2: dict[str, Path] = {}
    version1: dict[str, Path] = {}
    for fields in mounts:
        kind, options = fields[fields.index("-") + 1], fields[-1].split(",")
        if kind == "cgroup2" and "" in own:
            version2 = unified_parents(Path(fields[4]), own[""])
        elif kind == "cgroup":
            for controller in CONTROLLERS:
                if controller in options and controller in own:
                    folder = Path(fields[4] + own[controller])
                    if os.access(folder, os.W_OK):
                        version1[controller] = folder
    return Parents(version2, unified=True) if version2 else Parents(version1, unified=False)


def own_groups(text: str) -> Mapping[str, str]:
    """Return controller and path from `/proc/self/cgroup`; version 2 has the empty name."""
    lines = (line.split(":", 2) for line in text.splitlines())
    return {name: path.rstrip("/") for _, names, path in lines for name in names.split(",")}


def unified_parents(mount: Path, own: str) -> dict[str, Path]:
    """Return the nearest folder above our own group whose children may have limits, for each controller.

    Our own holds processes, so its children may not have any; the root alone is free of that rule.
    """
    start = Path(str(mount) + own)
    for folder in [mount] if start == mount else [parent for parent in start.parents if parent.is_relative_to(mount)]:
        if os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK):
            enabled = (folder / "cgroup.subtree_control").read_text(encoding="ascii").split()
            if found := {controller: folder for controller in CONTROLLERS if controller in enabled}:
                return found
    return {}


def make_cgroups(parents: Parents, name: str, memory: int, processes: int | None = None) -> tuple[Path, ...]:
    """Make a group with these limits and return its folders; `memory` in bytes, swap included."""
    made: dict[Path, None] = {}
    for controller, parent in parents.folders.items():
        folder = parent / name
        folder.mkdir(exist_ok=True)
        made[folder] = None
        if controller == "memory":
            limits = (
                {"memory.max": memory, "memory.swap.max": 0}
                if parents.unified
                else {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory}
            )
            for file, value in limits.items():
                if (folder / file).exists():  # a kernel without swap accounting has no second file
                    (folder / file).write_text(str(value), encoding="ascii")
        elif processes is not None:
            (folder / "pids.max").write_text(str(processes), encoding="ascii")
    return tuple(made)


def add_process(folders: Sequence[Path], pid: int) -> None:
    """Move a process into groups; what it forks from now on is in them too."""
    for folder in folders:
        (folder / "cgroup.procs").write_text(str(pid), encoding="ascii")


def remove_cgroups(folders: Sequence[Path]) -> None:
    """Remove groups once their last process is gone. Idempotent."""
    deadline = time.monotonic() + PATIENCE
    for folder in folders:
        while folder.exists():
            try:
                folder.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.002)
