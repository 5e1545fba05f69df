"""What crashed launches left, as a backend lists it before anything is removed."""

from collections.abc import Sequence
from typing import Protocol

__all__ = ["CleanupPlan"]


class CleanupPlan(Protocol):
    """A backend's own type; core only shows it and hands it back."""

    def lines(self) -> Sequence[str]:
        """Return one line for each thing that would be removed; empty if there is nothing."""
        ...
