"""The manifest's section `bwrap:`, and the sizes in it."""

import re

from msgspec import Struct

__all__ = ["BwrapSection", "bytes_of", "size_problems"]

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
SMALLEST = 1 << 20


class BwrapSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of this machine a bottle may take.

    `memory` holds where the machine lets us (see the `limits` line), the others always. `processes` counts
    threads too. A size is a whole number of bytes, or of `k`, `m`, `g`, `t` (powers of 1024), from 1m on.
    """

    memory: str = "4g"
    processes: int = 1024
    tmp: str = "1g"
    home: str = "2g"
    workspace: str = "4g"


def bytes_of(size: str) -> int:
    """Return a size in bytes; ValueError if it is not one, or is below 1m."""
    found = re.fullmatch(r"([0-9]{1,12})([kmgt]?)", size.lower(), re.ASCII)
    if found is None or (number := int(found[1]) * UNITS[found[2]]) < SMALLEST:
        raise ValueError(f"{size!r} is not a size like 512m or 4g")
    return number


def size_problems(section: BwrapSection) -> list[tuple[str, str]]:
    """Return key and message for everything in a section that cannot be used."""
    problems: list[tuple[str, str]] = []
    for key in ("memory", "tmp", "home", "workspace"):
        try:
            bytes_of(getattr(section, key))
        except ValueError as error:
            problems.append((key, str(error)))
    if not 16 <= section.processes <= 1 << 20:  # noqa: PLR2004 - a shell with a pipeline; beyond every pid_max in use
        problems.append(("processes", f"{section.processes} is not a number of processes from 16 to 1048576"))
    return problems
