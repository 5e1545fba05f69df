"""A repository of 100,000 files into a bottle and back, against a clone and a copy of it on this machine."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from string import Template
from typing import NamedTuple

from machine import first_line, hardware, load
from msgspec.structs import replace
from sample import Sample, interleave
from table import judge, markdown

from claude_bottle.manifest.types import Workspace
from claude_bottle.testing.contract import load_target
from claude_bottle.testing.ground import Ground

__all__ = ["workspace_section"]

FOLDERS, QUICK_FOLDERS, FILES = 1000, 10, 100
FEW, ENOUGH = 2, 5
"""Rounds of a smoke run, for which a small repository does, and the most that are made."""
GOAL = 1.5
OBSTACLE = "what goes in is packed anew, so that nothing does that no branch has, and both ways look at every file"
TEXT = Path(__file__).with_name("workspace.md")
WORK = "for i in 1 2 3 4 5 6 7 8 9; do echo x >>d$i/f1; done; git commit -qam work; echo y >>d7/f7"


class Place(NamedTuple):
    """A backend by its entry point's target, and where the yardstick lies: on what its workspaces lie on."""

    target: str
    folder: str


PLACES: Mapping[str, Place] = {
    "bwrap": Place("bottle_bwrap.plugin:PLUGIN", "/dev/shm"),
    "docker": Place("bottle_docker.plugin:PLUGIN", "/var/tmp"),
}


class Trip(NamedTuple):
    """Seconds of one way in, of one way out with ten changed files, and of the yardstick beside them."""

    way_in: float
    way_out: float
    plain: float


class Measured(NamedTuple):
    """What was found, for each backend that can run here, and the load before it."""

    files: int
    load: float
    trips: Mapping[str, list[Trip]]


def workspace_section(rounds: int) -> str:
    """Measure in interleaved rounds, and return the section."""
    found = measure(min(rounds, ENOUGH))
    machine = f"{hardware()}, {first_line('git', '--version')}"
    table = markdown(("", "in", "out", "clone + copy", "goal", "(in + out) ÷ (clone + copy)", ""), rows(found.trips))
    taken = max((len(trips) for trips in found.trips.values()), default=0)
    absent = "".join(f"\n{name} cannot run here.\n" for name in PLACES if name not in found.trips)
    return Template(TEXT.read_text(encoding="utf-8")).substitute(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine,
        load=f"{found.load:.2f}",
        rounds=taken,
        files=f"{found.files:,}",
        table=table,
        absent=absent,
    )


def measure(rounds: int) -> Measured:
    """Measure all backends that can run here in interleaved rounds."""
    before, folders = load(), QUICK_FOLDERS if rounds <= FEW else FOLDERS
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm") as folder, home(Path(folder)):
        repo = make_repository(Path(folder, "repo"), folders)
        ways: dict[str, Callable[[], Trip]] = {}
        for name, place in PLACES.items():
            backend = load_target("backend", name, place.target)
            probed = backend.hooks.probe()
            if probed is not None and probed.state == "ready":
                ways[name] = partial(there_and_back, Ground(backend, {}, Path(folder)), repo, place)
        interleave(1, ways)
        return Measured(folders * FILES, before, interleave(rounds, ways))


def rows(found: Mapping[str, list[Trip]]) -> Generator[tuple[str, ...]]:
    """Yield a row for each backend."""
    for name, trips in found.items():
        ins, outs, plains = (Sample(column) for column in zip(*trips, strict=True))
        both = Sample(tuple(trip.way_in + trip.way_out for trip in trips))
        judged = judge(name, both.over(plains), GOAL, obstacle=OBSTACLE)
        yield name, *(f"{it.text('.1f')} s" for it in (ins, outs, plains)), judged.goal, judged.measured, judged.verdict


@contextmanager
def home(folder: Path) -> Generator[None]:
    """Give git and us a home of this run alone."""
    (folder / "run").mkdir(mode=0o700)
    (folder / ".gitconfig").write_text("[user]\n\tname = Bench\n\temail = bench@example.com\n")
    before = dict(os.environ)
    os.environ |= {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "XDG_RUNTIME_DIR": str(folder / "run")}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def make_repository(repo: Path, folders: int) -> Path:
    """Make a repository of small files with one commit, packed."""
    for number in range(folders):
        (repo / f"d{number}").mkdir(parents=True)
        for file in range(FILES):
            (repo / f"d{number}" / f"f{file}").write_text(f"file {number} {file}\n" * 20)
    run("git init -q -b main; git config gc.auto 0; git add -A; git commit -qm one; git gc -q", repo)
    return repo


def there_and_back(ground: Ground, repo: Path, place: Place) -> Trip:
    """Bring it into a bottle, change ten files there, bring them out; then the yardstick."""
    hooks = load_target("provisioner", "workspace", "bottle_git.plugin:PLUGIN").hooks
    with ground.start("bench") as held:
        plan = replace(held.plan, workspace=Workspace(), cwd=str(repo))
        way_in = seconds(lambda: hooks.provision_git(bottle=held.bottle, plan=plan))
        if held.bottle.exec(WORK).returncode != 0:
            raise RuntimeError("the work in the bottle failed")
        way_out = seconds(lambda: hooks.collect(bottle=held.bottle, plan=plan))
    run("git branch -q -D bottle/bench bottle/bench-wip", repo)
    return Trip(way_in, way_out, yardstick(repo, Path(place.folder, f"bench-{os.getpid()}")))


def yardstick(repo: Path, plain: Path) -> float:
    """Return the seconds of a clone without hard links, and of a copy."""
    plain.mkdir()
    taken = seconds(lambda: run(f"git clone -q --no-hardlinks . {plain}/clone && cp -r . {plain}/copy", repo))
    run(f"rm -rf {plain}", repo)
    return taken


def run(script: str, folder: Path) -> None:
    """Run a script."""
    subprocess.run(["sh", "-ec", script], cwd=folder, check=True, stdout=sys.stderr)


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    begin = time.monotonic()
    call()
    return time.monotonic() - begin
