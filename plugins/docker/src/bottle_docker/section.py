"""The manifest's section `docker:`, and the sizes in it."""

import re
from ipaddress import IPv4Network

from msgspec import Struct

__all__ = ["DockerSection", "bytes_of", "section_problems"]

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
SMALLEST = 16 << 20


class DockerSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The agent's container: `memory` as `512m` or `4g`, `cpus` in cores, `processes` with their threads.

    `image` is an image that is used instead of one that is built; it needs `sh`, `tar`, `dd` and `perl`.
    `subnets` is the range from which each bottle's two networks take 8 addresses each.
    `read_only`: the root of the container cannot be written; the home, the workspace and `/tmp` can.
    """

    image: str | None = None
    memory: str = "4g"
    cpus: float = 2.0
    processes: int = 1024
    tmp: str = "1g"
    subnets: str = "10.213.0.0/16"
    read_only: bool = True


def bytes_of(size: str) -> int:
    """Return a size in bytes; ValueError if it is not one, or is below 16m."""
    found = re.fullmatch(r"([0-9]{1,12})([kmg]?)", size.lower(), re.ASCII)
    if found is None or (number := int(found[1]) * UNITS[found[2]]) < SMALLEST:
        raise ValueError(f"{size!r} is not a size like 512m or 4g")
    return number


def section_problems(section: DockerSection) -> list[tuple[str, str]]:
    """Return key and message for everything in a section that cannot be used."""
    problems: list[tuple[str, str]] = []
    for key in ("memory", "tmp"):
        try:
            bytes_of(getattr(section, key))
        except ValueError as error:
            problems.append((key, str(error)))
    if not 0.01 <= section.cpus <= 1024:  # noqa: PLR2004 - the engine's least, and more than any machine has
        problems.append(("cpus", f"{section.cpus:g} is not a number of cores from 0.01 on"))
    if not 16 <= section.processes <= 1 << 20:  # noqa: PLR2004 - a shell with a pipeline; beyond every pid_max in use
        problems.append(("processes", f"{section.processes} is not a number of processes from 16 to 1048576"))
    if section.image is not None and not section.image.strip():
        problems.append(("image", "an image's name is empty"))
    try:
        pool = IPv4Network(section.subnets)
    except ValueError as error:
        problems.append(("subnets", f"{section.subnets!r} is no IPv4 network: {error}"))
    else:
        if pool.prefixlen > 28:  # noqa: PLR2004 - two networks of 8 addresses
            problems.append(("subnets", f"{section.subnets} is too small: a bottle needs 16 addresses"))
        if not pool.is_private:
            problems.append(("subnets", f"{section.subnets} is not a private range"))
    return problems
