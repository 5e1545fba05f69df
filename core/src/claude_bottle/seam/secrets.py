"""Values that must be seen by nobody: they travel beside the plan in an object without a repr."""

from collections.abc import Collection, Iterator, Mapping
from typing import NoReturn

from claude_bottle.errors import BottleError
from claude_bottle.seam.part import ENOUGH

__all__ = ["LARGEST", "LONGEST", "Secrets", "check_credential", "check_value", "unfit"]

LARGEST = 128 << 10
"""Bytes of a variable with its name: Linux starts no program with a larger one (MAX_ARG_STRLEN, execve(2))."""
LONGEST = 16 << 10
"""Characters of a credential: what servers take of all headers of a request together."""


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


def unfit(name: str, value: str) -> tuple[str, str] | None:
    """Return why no variable can hold a value, and the cure; None where one can."""
    if "\0" in value:
        return f"the value of {name} has a NUL, which no variable can hold", "look at its source"
    if len(f"{name}={value}".encode("utf-8", "surrogateescape")) >= LARGEST:
        message = f"the value of {name} is larger than {LARGEST >> 10} KiB, which no variable can hold"
        return message, "a file in the workspace can be of any size"
    return None


def check_value(name: str, value: str) -> None:
    """BottleError for a value that no variable can hold."""
    if why := unfit(name, value):
        raise BottleError(*why)


def check_credential(name: str, value: str) -> None:
    """BottleError for a value that cannot stand in a header, or that a proxy would find in everything."""
    if not value.isascii() or not value.isprintable() or " " in value:
        raise BottleError(
            f"the value of {name} cannot stand in a header", "it is one word in ASCII; look at its source"
        )
    if len(value) > LONGEST:
        message = f"the value of {name} has more than {LONGEST >> 10} KiB, which no server takes in a header"
        raise BottleError(message, "look at its source")
    if sum(it.isalnum() for it in value) < ENOUGH:
        message = f"the value of {name} has fewer than {ENOUGH} letters and digits: too few to keep it from an agent"
        raise BottleError(message, "look at its source; without inject the agent gets it as it is")
