"""The benchmarks, in one run: prints a page in Markdown, and writes it to docs/benchmarks.md when asked to."""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from claude import claude_section
from cost import adopt_orphans
from engine import engine_section
from launches import measure_launches, rows_of_goals, rows_of_launches
from machine import describe, load
from rival import install, lacking
from spent import measure_imports, measure_phases, rows_of_imports, rows_of_phases
from stage import Stage, staged
from standing import Effort, measure_standing
from table import markdown
from workspace import workspace_section

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
FULL = Effort(rounds=11, commands=200, requests=200, size=100_000_000)
QUICK = Effort(rounds=2, commands=20, requests=50, size=10_000_000)
SECTIONS: Mapping[str, Callable[[int], str]] = {
    "engine": engine_section,
    "claude": claude_section,
    "workspace": workspace_section,
}
"""Parts of the page that can be measured alone: a name, and what returns the Markdown for so many rounds."""
LAST = "## Again\n"
"""The heading before which a section comes that the page does not have yet."""


def main() -> int:
    """Measure, print, and write; returns the exit code."""
    options = parse_options()
    effort = QUICK if options.quick else FULL
    if options.only:
        section = marked(options.only, effort.rounds)
        print(section, end="")
        if options.write:
            PAGE.write_text(with_section(PAGE.read_text(encoding="utf-8"), options.only, section), encoding="utf-8")
        return 0
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
    page = Template(Path(__file__).with_name("page.md").read_text(encoding="utf-8")).substitute(
        command=command(options),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=describe(srt=srt is not None),
        load=f"{before:.2f}",
        rounds=effort.rounds,
        goals=markdown(("what", "goal", "measured", ""), [*rows_of_goals(costs), *standing]),
        launches=markdown(("", "wall", "CPU", "bottle's wall ÷ this", "bottle's CPU ÷ this"), rows_of_launches(costs)),
        spent=spent,
        sections="\n".join(marked(name, effort.rounds) for name in SECTIONS),
    )
    print(page, end="")
    if options.write:
        PAGE.write_text(page, encoding="utf-8")
    return 0


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds and little traffic: whether it runs at all")
    parser.add_argument("--timings", action="store_true", help="add where a launch spends its time")
    parser.add_argument("--only", choices=SECTIONS, help="measure this section and no other, and write no other")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    if options.quick and options.write:
        parser.error("two rounds are not to be published")
    return options


def command(options: argparse.Namespace) -> str:
    """Return the command that makes this page."""
    given = [f"--{name}" for name, value in vars(options).items() if value is True]
    words = " ".join(given)
    return f'make bench ARGS="{words}"' if words else "make bench"


def marked(name: str, rounds: int) -> str:
    """Measure one section, and return it between its marks."""
    say(f"{name} …")
    return f"<!-- section {name} -->\n{SECTIONS[name](rounds)}<!-- end of {name} -->\n"


def with_section(page: str, name: str, section: str) -> str:
    """Return a page with a new section in the place of the one of that name, or before the last heading."""
    old = re.compile(rf"<!-- section {name} -->\n.*<!-- end of {name} -->\n", re.DOTALL)
    if old.search(page):
        return old.sub(lambda _: section, page)
    return page.replace(LAST, f"{section}\n{LAST}")


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
