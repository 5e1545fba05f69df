"""Many bottles on one engine at the same time: how many are up, what they hold, and that nothing is left of them."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from stage import HOST, Stage, staged
from upstream import PAGE

from bottle_docker.labels import LAUNCH
from bottle_docker.plugin import open_engine
from bottle_docker.site import default_gateways

__all__ = ["main"]

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 6
"""Launches that begin at the same time: more wait for the same two cores."""

BOTTLE = str(Path(sys.executable).with_name("bottle"))


def main() -> int:
    """Start them, look into each, stop them; returns the exit code."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    engine = open_engine()
    before = len(engine.containers(LAUNCH)), len(engine.networks(LAUNCH))
    with staged(default_gateways(engine.networks())[0]) as stage:
        idle, begin = used_memory(), time.monotonic()
        up = [name for name in each(range(count), lambda _: start(stage)) if name]
        took = time.monotonic() - begin
        held = (used_memory() - idle) / max(len(up), 1)
        served = sum(each(up, lambda name: page(stage, name)))
        begin = time.monotonic()
        stopped = sum(each(up, lambda name: bottle(stage, "stop", name).returncode == 0))
        rest = time.monotonic() - begin
        listed = json.loads(bottle(stage, "list", "--format", "json").stdout)["bottles"]
    after = len(engine.containers(LAUNCH)), len(engine.networks(LAUNCH))
    print(f"up {len(up)} of {count} in {took:.0f} s, {held:.0f} MB of this machine's memory each")
    print(f"the page, opened and looked through, in {served}; stopped {stopped} in {rest:.0f} s")
    print(f"left: {len(listed)} bottles, {after[0] - before[0]} containers, {after[1] - before[1]} networks")
    return 0 if (len(up), served, stopped, listed, after) == (count, count, count, [], before) else 1


def each(items: Sequence[T], call: Callable[[T], R]) -> list[R]:
    """Call for each, some at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(call, items))


def start(stage: Stage) -> str | None:
    """Start a bottle that stays, and return its name."""
    options = ("--backend", "docker", "--proxy", "mitmproxy", "--detach")
    argv = stage.bottle(agent="shell", options=options)
    done = subprocess.run(argv[:-1], env=stage.env, cwd=stage.folder, capture_output=True, check=False, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr)
        return None
    return done.stdout.strip()


def page(stage: Stage, name: str) -> bool:
    """Whether a bottle gets the page through its proxy."""
    return bottle(stage, "exec", name, "--", "curl", "-sS", "--fail", f"https://{HOST}/").stdout == PAGE


def bottle(stage: Stage, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command of `bottle`."""
    return subprocess.run([BOTTLE, *words], env=stage.env, cwd=stage.folder, capture_output=True, check=False)


def used_memory() -> float:
    """Return what this machine has in use, in megabytes, without what it could give back."""
    found = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(found[key].split()[0]) for key in ("MemTotal", "MemAvailable"))
    return (total - free) / 1024


if __name__ == "__main__":
    sys.exit(main())
