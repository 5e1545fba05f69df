"""Whether a version lies in a range that a distribution asks for."""

import re

__all__ = ["fits"]

PLAIN = re.compile(r"(>=|<=|==|!=|<|>)\s*(\d+(?:\.\d+)*)")


def fits(version: str, wanted: str) -> bool:
    """Return whether `version`, three plain numbers, is in the range `wanted` (PEP 440); False for what is no range.

    Plain comparisons, which is what plugins write, are made here: the library costs twenty modules at start-up.
    """
    clauses = [clause.strip() for clause in wanted.split(",") if clause.strip()]
    plain = [PLAIN.fullmatch(clause) for clause in clauses]
    if all(plain):
        return all(_holds(_numbers(version), match[1], _numbers(match[2])) for match in plain if match)
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - for what is not plain alone

    try:
        return SpecifierSet(wanted, prereleases=True).contains(version)
    except InvalidSpecifier:
        return False


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release's numbers without zeros at the end, so that 1.0 equals 1.0.0."""
    numbers = [int(number) for number in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _holds(here: tuple[int, ...], operator: str, there: tuple[int, ...]) -> bool:
    return {
        ">=": here >= there,
        "<=": here <= there,
        "==": here == there,
        "!=": here != there,
        "<": here < there,
        ">": here > there,
    }[operator]
