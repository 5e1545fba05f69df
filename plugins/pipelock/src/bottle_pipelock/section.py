"""The manifest's section `pipelock:`."""

import re

from msgspec import Struct

__all__ = ["IMAGE", "PipelockSection", "bytes_of"]

IMAGE = "ghcr.io/luckypipewrench/pipelock:2.3.0"
"""The one version that this plugin's configuration is for: another refuses keys that it does not know."""

UNITS = {"m": 1 << 20, "g": 1 << 30}
SMALLEST = 128 << 20


class PipelockSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sidecar: `image` is the same version under another name, `memory` as `512m` or `1g`."""

    image: str = IMAGE
    memory: str = "512m"


def bytes_of(size: str) -> int:
    """Return a size in bytes; ValueError if it is not one, or is below 128m."""
    found = re.fullmatch(r"([0-9]{1,6})([mg])", size.lower(), re.ASCII)
    if found is None or (number := int(found[1]) * UNITS[found[2]]) < SMALLEST:
        raise ValueError(f"{size!r} is not a size like 512m or 1g, from 128m on")
    return number
