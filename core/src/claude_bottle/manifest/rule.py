"""A rule for the text of a field, written beside its type: `Annotated[str, Rule(parse)]`."""

from collections.abc import Callable

__all__ = ["Rule"]


class Rule:
    """Holds for a scalar once it has its type: `apply` returns it in its one form, or raises BottleError.

    msgspec ignores it, so a value that is built in Python is not checked, only one that is read.
    """

    def __init__(self, apply: Callable[[str], str]) -> None:
        self.apply = apply
