"""A repository of 100,000 files into a bottle and back, against a clone and a copy of it on this machine.

The yardstick is `git clone --no-hardlinks` and then `cp -r` of the same tree, to where a bottle's workspace lies:
memory for bwrap, a disk for an engine's volumes.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from msgspec.structs import replace

from claude_bottle.manifest.types import Workspace
from claude_bottle.testing.contract import load_target
from claude_bottle.testing.ground import Ground

FOLDERS, FILES = 1000, 100
GOAL = 1.5
BACKENDS = {
    "bwrap": ("bottle_bwrap.plugin:PLUGIN", "/dev/shm"),
    "docker": ("bottle_docker.plugin:PLUGIN", "/var/tmp"),
}
WORK = "for i in 1 2 3 4 5 6 7 8 9; do echo x >>d$i/f1; done; git commit -qam work; echo y >>d7/f7"


def main() -> int:
    """Measure and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench/workspace.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm") as folder, home(Path(folder)):
        repo = make_repository(Path(folder, "repo"))
        print("| | in | out | clone + copy | ratio (min to max) | goal |\n|---|---|---|---|---|---|")
        for name, (target, place) in BACKENDS.items():
            backend = load_target("backend", name, target)
            probed = backend.hooks.probe()
            if probed is None or probed.state != "ready":
                print(f"| {name} | | | | cannot run here | |")
                continue
            ground = Ground(backend, {}, Path(folder))
            rows = [
                (*there_and_back(ground, repo), yardstick(repo, Path(place, f"bench-{os.getpid()}")))
                for _ in range(rounds)
            ]
            ratios = sorted((way_in + way_out) / plain for way_in, way_out, plain in rows)
            ins, outs, plains = (median(column) for column in zip(*rows, strict=True))
            print(
                f"| {name} | {ins:.1f} s | {outs:.1f} s | {plains:.1f} s "
                f"| {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) | ≤ {GOAL} |"
            )
    return 0


@contextmanager
def home(folder: Path) -> Generator[None]:
    """Give git and us a home of this run alone."""
    (folder / "run").mkdir(mode=0o700)
    (folder / ".gitconfig").write_text("[user]\n\tname = Bench\n\temail = bench@example.com\n")
    os.environ |= {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "XDG_RUNTIME_DIR": str(folder / "run")}
    yield


def make_repository(repo: Path) -> Path:
    """Make a repository of 100,000 small files with one commit, packed."""
    for number in range(FOLDERS):
        (repo / f"d{number}").mkdir(parents=True)
        for file in range(FILES):
            (repo / f"d{number}" / f"f{file}").write_text(f"file {number} {file}\n" * 20)
    run("git init -q -b main; git config gc.auto 0; git add -A; git commit -qm one; git gc -q", repo)
    return repo


def there_and_back(ground: Ground, repo: Path) -> tuple[float, float]:
    """Return the seconds in and out of one bottle, in which ten files are changed."""
    hooks = load_target("provisioner", "workspace", "bottle_git.plugin:PLUGIN").hooks
    with ground.start("bench") as held:
        plan = replace(held.plan, workspace=Workspace(), cwd=str(repo))
        way_in = seconds(lambda: hooks.provision_git(bottle=held.bottle, plan=plan))
        if held.bottle.exec(WORK).returncode != 0:
            raise RuntimeError("the work in the bottle failed")
        way_out = seconds(lambda: hooks.collect(bottle=held.bottle, plan=plan))
    run("git branch -q -D bottle/bench bottle/bench-wip", repo)
    return way_in, way_out


def yardstick(repo: Path, plain: Path) -> float:
    """Return the seconds of a clone without hard links, and of a copy."""
    taken = seconds(lambda: run(f"git clone -q --no-hardlinks . {plain}/clone && cp -r . {plain}/copy", repo, plain))
    run(f"rm -rf {plain}", repo)
    return taken


def run(script: str, folder: Path, make: Path | None = None) -> None:
    """Run a script."""
    if make is not None:
        make.mkdir()
    subprocess.run(["sh", "-ec", script], cwd=folder, check=True)


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


if __name__ == "__main__":
    raise SystemExit(main())
