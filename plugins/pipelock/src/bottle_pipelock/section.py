"""The manifest's section `pipelock:`, and the size in it."""

import re

from msgspec import Struct

__all__ = ["IMAGE", "PipelockSection", "bytes_of"]

IMAGE = "ghcr.io/luckypipewrench/pipelock:2.3.0"
"""One version, never a floating tag: an unknown key of its configuration is fatal to it."""

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
SMALLEST = 64 << 20


class PipelockSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which image runs, and how much memory it may take.

    `image` has to hold pipelock 2.3.0. `memory` is a whole number of bytes, or of `k`, `m`, `g`
    (powers of 1024), from 64m on: the bodies of all requests that are being scanned are held in it.
    """

    image: str = IMAGE
    memory: str = "512m"


def bytes_of(size: str) -> int:
    """Return a size in bytes; ValueError if it is none, or is below 64m."""
    found = re.fullmatch(r"([0-9]{1,12})([kmg]?)", size.lower(), re.ASCII)
    if found is None or (number := int(found[1]) * UNITS[found[2]]) < SMALLEST:
        raise ValueError(f"{size!r} is not a size like 512m or 1g, from 64m on")
    return number
