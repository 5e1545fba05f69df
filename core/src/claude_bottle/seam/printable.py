"""Text that somebody else wrote, as a terminal can be given it."""

__all__ = ["printable"]


def printable(text: str) -> str:
    """Return text in one line, with escapes for what cannot be printed: no line is forged, no terminal steered."""
    return "".join(it if it.isprintable() else it.encode("unicode_escape").decode("ascii") for it in text)
