"""The benchmarks, in one run: prints a page in Markdown, and writes it to docs/benchmarks.md when asked to."""

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from cost import adopt_orphans
from engine import measure_engine, rows_of_engine
from launches import measure_launches, rows_of_goals, rows_of_launches
from machine import describe, load
from rival import install, lacking
from spent import measure_imports, measure_phases, rows_of_imports, rows_of_phases
from stage import Stage, staged
from standing import Effort, measure_standing
from table import markdown
from workspace import measure_workspace, section_of_workspace

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
WORDS = Path(__file__).with_name("page.md")
WORKSPACE = "## A repository in and out"
"""The section that can be measured, and written, alone."""
LAST = "## Again\n"
ROUNDS, QUICK_ROUNDS = 5, 1
FULL = Effort(rounds=11, commands=200, requests=200, size=100_000_000)
QUICK = Effort(rounds=2, commands=20, requests=50, size=10_000_000)


def main() -> int:
    """Measure, print, and write; returns the exit code."""
    options = parse_options()
    if options.only:
        return only_workspace(options)
    effort = QUICK if options.quick else FULL
    before = load()
    adopt_orphans()
    absent = lacking()
    if absent:
        say(f"srt is left out: {absent}")
    srt = None if absent else install(ROOT / ".work" / "bench")
    with staged() as stage:
        say("launches …")
        costs = measure_launches(stage, srt, effort.rounds)
        say("a standing bottle …")
        standing = measure_standing(stage, effort)
        spent = where_time_goes(stage, effort.rounds) if options.timings else ""
    say("an engine …")
    contained = rows_of_engine(measure_engine(effort.rounds))
    page = Template(WORDS.read_text(encoding="utf-8")).substitute(
        command=command(options),
        date=today(),
        machine=describe(srt=srt is not None),
        load=f"{before:.2f}",
        rounds=effort.rounds,
        goals=markdown(("what", "goal", "measured", ""), [*rows_of_goals(costs), *standing, *contained]),
        launches=markdown(("", "wall", "CPU", "bottle's wall ÷ this", "bottle's CPU ÷ this"), rows_of_launches(costs)),
        spent=spent,
        workspace=workspace(options),
    )
    print(page, end="")
    if options.write:
        PAGE.write_text(page, encoding="utf-8")
    return 0


def only_workspace(options: argparse.Namespace) -> int:
    """Measure that section, print it, and write it into the page; returns the exit code."""
    text = Template(section(WORDS.read_text(encoding="utf-8"))).substitute(workspace=workspace(options))
    print(text, end="")
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        before = section(page)
        PAGE.write_text(page.replace(before, text) if before else page.replace(LAST, text + LAST), encoding="utf-8")
    return 0


def section(page: str) -> str:
    """Return the section on the workspace, up to the next heading; empty where there is none yet."""
    found = re.search(rf"^{WORKSPACE}$.*?(?=^## )", page, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


def workspace(options: argparse.Namespace) -> str:
    """Return what the section has of this run."""
    say("a repository in and out …")
    found = measure_workspace(QUICK_ROUNDS if options.quick else ROUNDS, quick=options.quick)
    return section_of_workspace(found, today())


def today() -> str:
    """Return the date."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds and little traffic: whether it runs at all")
    parser.add_argument("--timings", action="store_true", help="add where a launch spends its time")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--only", choices=["workspace"], help="measure, and write, that section alone")
    options = parser.parse_args()
    if options.quick and options.write:
        parser.error("two rounds are not to be published")
    return options


def command(options: argparse.Namespace) -> str:
    """Return the command that makes this page."""
    given = [f"--{name}" for name, value in vars(options).items() if value is True]
    words = " ".join(given)
    return f'make bench ARGS="{words}"' if words else "make bench"


def where_time_goes(stage: Stage, rounds: int) -> str:
    """Return the section on a launch's phases and imports."""
    say("phases and imports …")
    phases = markdown(("phase", "ms"), rows_of_phases(measure_phases(stage, rounds)))
    imports = "".join(
        f"\nImports of the {name}, once, with the import timer's own cost:\n\n"
        + markdown(("package", "modules", "ms"), rows_of_imports(found))
        for name, found in measure_imports(stage).items()
    )
    return (
        f"\n## Where a launch spends its time\n\nOf `bottle start shell --yes --file … -- true`:\n\n{phases}{imports}"
    )


def say(text: str) -> None:
    """Say on stderr what is being done."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
