"""Where a launch spends its time: the phases of `bottle start --timings`, and imports by package."""

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from sample import Sample
from stage import Stage

__all__ = ["Import", "measure_imports", "measure_phases", "rows_of_imports", "rows_of_phases"]

OUTSIDE = "before and after (interpreter, imports, plan, exit)"
SHOWN = 14
PROXY = ("-P", "-m", "bottle_mitmproxy.sidecar", "--help")  # ends when everything is imported


class Import(NamedTuple):
    """The import of one module: seconds of its own."""

    module: str
    seconds: float


def measure_phases(stage: Stage, rounds: int) -> Mapping[str, Sample]:
    """Return the seconds of each phase of launches of `true`, and of what is outside of all phases."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        begin = time.perf_counter()
        argv = stage.bottle("true", options=("--timings",))
        done = subprocess.run(argv, check=True, env=stage.env, capture_output=True, text=True)
        wall = time.perf_counter() - begin
        phases = read_phases(done.stderr)
        for name, seconds in phases.items():
            found[name].append(seconds)
        found[OUTSIDE].append(wall - sum(phases.values()))
    return {name: Sample(tuple(values)) for name, values in found.items()}


def read_phases(text: str) -> dict[str, float]:
    """Return the seconds of each phase from what `--timings` printed."""
    phases: dict[str, float] = defaultdict(float)
    for line in text.splitlines():
        words = line.split()
        if line.endswith(" ms") and len(words) > 2 and words[0] != "sum":  # noqa: PLR2004 - name, number, unit
            phases[" ".join(words[:-2])] += float(words[-2]) / 1000
    return phases


def rows_of_phases(phases: Mapping[str, Sample]) -> list[tuple[str, ...]]:
    """Return phase and milliseconds."""
    return [(name, sample.text(".0f", 1000)) for name, sample in phases.items()]


def measure_imports(stage: Stage) -> Mapping[str, list[Import]]:
    """Return the imports of a whole launch in the launcher, and of the proxy until it waits for its message."""
    program = Path(sys.executable).with_name("bottle")
    launch = stage.bottle("true")[1:]
    env = {**stage.env, "PYTHONPROFILEIMPORTTIME": "1"}
    proxy = (sys.executable, *PROXY)
    return {
        "launcher": read_imports(
            subprocess.run(
                (sys.executable, program, *launch), check=True, env=env, capture_output=True, text=True
            ).stderr
        ),
        "proxy": read_imports(subprocess.run(proxy, check=True, env=env, capture_output=True, text=True).stderr),
    }


def read_imports(text: str) -> list[Import]:
    """Return the imports from what `-X importtime` printed."""
    lines = [
        line.removeprefix("import time:").split("|") for line in text.splitlines() if line.startswith("import time:")
    ]
    return [Import(name.strip(), int(own) / 1e6) for own, _, name in lines if own.strip().isdigit()]


def rows_of_imports(imports: Iterable[Import]) -> list[tuple[str, ...]]:
    """Return package, number of modules and milliseconds, the dearest first, and the sum."""
    packages: dict[str, list[float]] = defaultdict(list)
    for module, seconds in imports:
        packages[module.partition(".")[0]].append(seconds)
    dearest = sorted(packages.items(), key=lambda item: -sum(item[1]))[:SHOWN]
    every = [seconds for found in packages.values() for seconds in found]
    rows = [(name, str(len(found)), f"{sum(found) * 1000:.0f}") for name, found in dearest]
    return [*rows, ("all", str(len(every)), f"{sum(every) * 1000:.0f}")]
