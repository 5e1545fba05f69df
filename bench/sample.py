"""Samples of one quantity, one for each round, and how they are written."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

__all__ = ["Sample", "interleave", "percentile"]

T = TypeVar("T")


class Sample(NamedTuple):
    """What was measured, in the order of the rounds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.values)

    def over(self, other: "Sample") -> "Sample":
        """Return the ratios, round by round: what slows a whole round down does not show in them."""
        return Sample(tuple(mine / theirs for mine, theirs in zip(self.values, other.values, strict=True)))

    def minus(self, other: "Sample") -> "Sample":
        """Return the differences, round by round."""
        return Sample(tuple(mine - theirs for mine, theirs in zip(self.values, other.values, strict=True)))

    def text(self, form: str, scale: float = 1.0) -> str:
        """Return `median (min-max)`, each scaled and in this format."""
        median, low, high = (format(value * scale, form) for value in (self.median, min(self.values), max(self.values)))
        return f"{median} ({low}-{high})"


def interleave(rounds: int, ways: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Do each thing once a round, A B C A B C, so that all of them see the same moods of the machine."""
    found: dict[str, list[T]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    return found


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
