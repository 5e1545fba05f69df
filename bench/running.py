"""A bottle that runs while it is measured: its handle, its processes, their memory."""

import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from stage import AGENT, Stage

from bottle_bwrap.plugin import BwrapBackend
from claude_bottle.seam.bottle import Bottle

__all__ = ["Running", "started"]

MEGABYTE = 1_000_000
PARTS = ("proxy", "agent server", "launcher")


class Running(NamedTuple):
    """A bottle's handle, as any other process of the user has it, and the id of the process that launched it."""

    bottle: Bottle
    pid: int

    def memory(self) -> Mapping[str, float]:
        """Return proportional memory in megabytes by part; PermissionError for who may not look (needs root)."""
        found: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        for pid in family(self.pid):
            if part := part_of(pid, self.pid):
                found[part] += proportional(pid)
        return found


@contextmanager
def started(stage: Stage) -> Generator[Running]:
    """Launch a bottle in which nothing happens, and end it."""
    argv = stage.bottle("sh", "-c", "echo up; exec sleep 1000", agent=AGENT)
    with subprocess.Popen(
        argv, env=stage.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            if process.stdout.readline() != b"up\n":
                raise RuntimeError(f"no bottle: {process.stderr.read().decode()}")
            found = [bottle for bottle in BwrapBackend().list_bottles() if bottle.slug == AGENT]
            time.sleep(0.5)  # what is left to do after the start is not part of the first measurement
            yield Running(found[0], process.pid)
        finally:
            process.terminate()


def family(pid: int) -> Generator[int]:
    """Yield a process and all below it."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text(encoding="ascii").split():
            yield from family(int(child))


def part_of(pid: int, launcher: int) -> str:
    """Return which part of a bottle a process is; empty for the agent's own."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    if pid == launcher:
        return "launcher"
    if b"bottle_mitmproxy.sidecar" in words:
        return "proxy"
    inside = any(word.startswith(b"/.bottle") for word in words)
    return "agent server" if inside else ""


def proportional(pid: int) -> float:
    """Return a process's proportional set size in megabytes: pages that n processes share count 1/n."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / MEGABYTE
