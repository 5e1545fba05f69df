"""What stands in the bottle for a credential that the agent never holds."""

import re
import secrets

from claude_bottle.seam.part import ENOUGH

__all__ = ["make_placeholder"]

ISSUER = re.compile(r"(?:[A-Za-z]{1,6}[0-9]{0,2}[-_]){1,3}")
HEX = re.compile(r"[0-9a-f-]+")
CLASSES = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def make_placeholder(value: str) -> str:
    """Return a random text of the same shape: as long, with the issuer's prefix, each character of the same kind.

    Programs look at such a prefix (`sk-ant-oat01-`, `ghp_`), at length and alphabet; it is public, and kept only
    where at least ENOUGH letters and digits follow. Nothing else of the value is in it. New each time.
    ValueError for a value with fewer.
    """
    issuer = ISSUER.match(value)
    kept = issuer[0] if issuer and _weight(value[issuer.end() :]) >= ENOUGH else ""
    rest = value[len(kept) :]
    if _weight(rest) < ENOUGH:
        raise ValueError("too short for a placeholder")
    while (made := kept + _like(rest)) == value:
        pass
    return made


def _weight(text: str) -> int:
    return sum(it.isascii() and it.isalnum() for it in text)


def _like(text: str) -> str:
    if HEX.fullmatch(text):
        return "".join(it if it == "-" else secrets.choice("0123456789abcdef") for it in text)
    kinds = {character: kind for kind in CLASSES for character in kind}
    return "".join(secrets.choice(kinds[it]) if it in kinds else it for it in text)
