"""Slugs, and the candidates for a name that may be taken."""

import re
from collections.abc import Iterator

__all__ = ["LAST_CANDIDATE", "candidates", "slugify", "taken_message"]

LAST_CANDIDATE = 99


def slugify(name: str) -> str:
    """Return a name lowercased, with every run of other characters than a-z and 0-9 as one hyphen."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def candidates(base: str) -> Iterator[str]:
    """Yield `base`, `base-2` … `base-99`."""
    yield base
    for number in range(2, LAST_CANDIDATE + 1):
        yield f"{base}-{number}"


def taken_message(base: str) -> str:
    """Return the one sentence for a name of which every candidate is taken."""
    return f"every name from {base} to {base}-{LAST_CANDIDATE} is taken"
