"""Values that must be seen by nobody: they travel beside the plan in an object without a repr."""

from collections.abc import Collection, Iterator, Mapping
from typing import NoReturn

__all__ = ["Secrets"]


class Secrets(Mapping[str, str]):
    """Forwarded variables, name to value. It cannot be printed, pickled or encoded by accident."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def only(self, names: Collection[str]) -> "Secrets":
        """Return those with one of these names."""
        return Secrets({name: value for name, value in self._values.items() if name in names})

    def __repr__(self) -> str:
        return f"<Secrets: {len(self._values)} values>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled")
