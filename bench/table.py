"""Tables in Markdown, and a goal's row: wanted, measured, met or missed."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sample import Sample

__all__ = ["Row", "judge", "markdown", "plain"]


class Row(NamedTuple):
    """One line of the table of goals."""

    what: str
    goal: str
    measured: str
    verdict: str


def judge(what: str, sample: Sample, goal: float, *, obstacle: str, unit: str = "", scale: float = 1.0) -> Row:
    """Return a row whose verdict compares the median to a goal: met, or missed by how much and why."""
    value = sample.median * scale
    excess = value / goal - 1
    by = f"{excess:.0%}" if excess >= 0.01 else "less than 1%"  # noqa: PLR2004 - what a percentage can show
    verdict = "met" if value <= goal else f"missed by {by}: {obstacle}"
    return Row(what, f"≤ {goal:g}{unit}", sample.text(".2f", scale) + unit, verdict)


def plain(what: str, measured: str) -> Row:
    """Return a row that has no goal."""
    return Row(what, "", measured, "")


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
