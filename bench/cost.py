"""What commands cost: wall time and the CPU time of everything that they started."""

import ctypes
import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["Command", "Cost", "adopt_orphans", "run"]

PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 60.0
STRAYS = 2.0  # seconds in which what a command left behind must have ended


class Command(NamedTuple):
    """A command that must end well and write `output` and nothing else to stdout."""

    name: str
    argv: Sequence[str]
    output: bytes
    env: Mapping[str, str]
    cwd: Path


class Cost(NamedTuple):
    """Seconds: from the start of the first process to the end of the last, and user and system time of all."""

    wall: float
    cpu: float


def adopt_orphans() -> None:
    """Make this process the parent of what its children leave behind, so that their CPU time is counted too."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("the kernel refuses PR_SET_CHILD_SUBREAPER")


def run(command: Command, copies: int = 1) -> Cost:
    """Run a command, or so many copies of it at once; RuntimeError with its last words if one fails."""
    others = children()
    spent, begin = cpu_of_children(), time.perf_counter()
    started = [start(command) for _ in range(copies)]
    for process, _, _ in started:
        process.wait(PATIENCE)
    wall = time.perf_counter() - begin
    reap(others)
    for process, out, err in started:
        check(command, process.returncode, out, err)
    return Cost(wall, cpu_of_children() - spent)


def start(command: Command) -> tuple[subprocess.Popen[bytes], int, int]:
    """Start a command; its two streams go to files in memory, so that nobody has to read along."""
    out, err = os.memfd_create("out"), os.memfd_create("err")
    process = subprocess.Popen(
        command.argv, env=command.env, cwd=command.cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err
    )
    return process, out, err


def check(command: Command, code: int, out: int, err: int) -> None:
    """Raise RuntimeError unless a command did what it was started for. Closes its files."""
    written, said = os.pread(out, 1 << 16, 0), os.pread(err, 1 << 16, 0)
    os.close(out)
    os.close(err)
    if code != 0 or written != command.output:
        raise RuntimeError(f"{command.name}: exit code {code}, wrote {written[:200]!r}: {said.decode()[-2000:]}")


def cpu_of_children() -> float:
    """Return user and system seconds of all children that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def children() -> set[int]:
    """Return the ids of this process's children."""
    threads = Path("/proc/self/task").iterdir()
    return {int(pid) for thread in threads for pid in (thread / "children").read_text(encoding="ascii").split()}


def reap(others: set[int]) -> None:
    """Wait for adopted processes: all children but `others`."""
    deadline = time.monotonic() + STRAYS
    while strays := children() - others:
        for pid in strays:
            os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes were left behind: {sorted(strays)}")
        time.sleep(0.001)
