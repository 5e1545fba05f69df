"""From nothing to a page and back to nothing: `bottle`, `srt` and bare bubblewrap, and eight bottles at once."""

from collections.abc import Callable, Mapping
from functools import partial

from cost import Cost, run
from rival import Srt
from sample import Sample, interleave
from stage import Stage
from table import Row, judge, plain

__all__ = ["measure_launches", "rows_of_goals", "rows_of_launches"]

BOTTLE, EIGHT, PASSED, OPENED, BARE = (
    "`bottle`, TLS opened",
    "8 of `bottle` at once",
    "`srt`, TLS passed through",
    "`srt`, TLS opened (`tlsTerminate`)",
    "bare `bwrap`, host's network",
)
COPIES = 8

IMPORT = "the import of the proxy is most of a launch's CPU time"

Costs = Mapping[str, list[Cost]]


def measure_launches(stage: Stage, srt: Srt | None, rounds: int) -> Costs:
    """Measure all of them in interleaved rounds, after one of each that is not counted."""
    page = stage.page_in_bottle()
    ways: dict[str, Callable[[], Cost]] = {BOTTLE: partial(run, page)}
    if srt is not None:
        ways[PASSED] = partial(run, srt.command(stage.folder, stage.port, stage.authority, opened=False))
        ways[OPENED] = partial(run, srt.command(stage.folder, stage.port, stage.authority, opened=True))
    ways |= {BARE: partial(run, stage.page_in_bwrap()), EIGHT: partial(run, page, COPIES)}
    interleave(1, ways)
    return interleave(rounds, ways)


def rows_of_launches(costs: Costs) -> list[tuple[str, ...]]:
    """Return name, wall, CPU, and the ratio of both to one bottle's, round by round."""
    one_wall, one_cpu = walls(costs[BOTTLE]), cpus(costs[BOTTLE])
    rows: list[tuple[str, ...]] = []
    for name, found in costs.items():
        wall, cpu = walls(found), cpus(found)
        ratios = (one_wall.over(wall).text(".2f"), one_cpu.over(cpu).text(".2f")) if name != BOTTLE else ("", "")
        rows.append((name, wall.text(".0f", 1000), cpu.text(".0f", 1000), *ratios))
    return rows


def rows_of_goals(costs: Costs) -> list[Row]:
    """Return what was wanted of a launch and of eight at once."""
    one = walls(costs[BOTTLE])
    rows: list[Row] = []
    for name in (PASSED, OPENED):
        what = f"page and teardown, wall ÷ {name}"
        if name in costs:
            rows.append(judge(what, one.over(walls(costs[name])), 1.0, obstacle=IMPORT))
        else:
            rows.append(Row(what, "≤ 1", "not measured", "srt cannot run here"))
    rows.append(plain("page and teardown, wall ÷ bare `bwrap`", one.over(walls(costs[BARE])).text(".1f")))
    cores = "one launch keeps more than one core busy already, and eight need eight times its CPU time"
    rows.append(judge("8 bottles at once, wall ÷ one", walls(costs[EIGHT]).over(one), 4.0, obstacle=cores))
    return rows


def walls(costs: list[Cost]) -> Sample:
    """Return the wall times."""
    return Sample(tuple(cost.wall for cost in costs))


def cpus(costs: list[Cost]) -> Sample:
    """Return the CPU times."""
    return Sample(tuple(cost.cpu for cost in costs))
