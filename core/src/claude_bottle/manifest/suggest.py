"""The nearest known name for one that is unknown."""

from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest"]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `word`, or None; case does not count."""
    import difflib  # noqa: PLC0415 - only a mistake pays for it

    names = {name.lower(): name for name in sorted(known)}
    found = difflib.get_close_matches(word.lower(), names, n=1)
    return names[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean memory?)` to end a sentence with, or nothing."""
    name = nearest(word, known)
    return f" (did you mean {name}?)" if name else ""
