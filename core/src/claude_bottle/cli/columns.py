"""Rows as aligned columns."""

from collections.abc import Sequence

__all__ = ["align", "fit"]


def align(rows: Sequence[Sequence[str]]) -> str:
    """Return rows with every column but the last as wide as its widest cell, each with a newline."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)][:-1]
    lines = (
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def fit(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Return rows whose columns are no wider than `width` together once they are aligned: the widest are cut off."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > width:
        widths[widths.index(max(widths))] -= 1
    return [[_cut(cell, limit) for cell, limit in zip(row, widths, strict=True)] for row in rows]


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
