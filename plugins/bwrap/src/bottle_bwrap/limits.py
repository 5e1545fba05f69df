"""Which limits hold for a bottle on this machine: what the preflight says, and what the launch then does."""

import os
from pathlib import Path
from typing import NamedTuple

from bottle_bwrap.cgroup import Parents, find_parents
from bottle_bwrap.section import BwrapSection

__all__ = ["Limits", "find_limits"]

PER_NAMESPACE = (5, 14)
"""Since this kernel RLIMIT_NPROC counts within a user namespace, before it a uid's processes everywhere."""


class Limits(NamedTuple):
    """Where groups can be made, and the value of RLIMIT_NPROC inside."""

    parents: Parents
    processes: int

    def line(self, section: BwrapSection, *, bound: bool) -> str:
        """Return what holds, in one line; a workspace that is bound has no size of ours."""
        memory = (
            f"memory {section.memory}"
            if "memory" in self.parents.folders
            else "memory not limited (this machine offers us no control group)"
        )
        line = f"{memory}, {section.processes} processes, /tmp {section.tmp}, home {section.home}"
        return line if bound else f"{line}, /workspace {section.workspace}"


def find_limits(section: BwrapSection, *, dropped: bool) -> Limits:
    """Return what can be held here; `dropped` says that the sandbox will have a uid of its own."""
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    shared = release < PER_NAMESPACE and not dropped
    return Limits(find_parents(), section.processes + (processes_of(os.getuid()) if shared else 0))


def processes_of(uid: int) -> int:
    """Return how many threads a uid has now."""
    count = 0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and folder.stat().st_uid == uid:
                count += len(list((folder / "task").iterdir()))
        except OSError:
            continue  # it ended
    return count
