"""The value of a variable in a manifest, as text and the host's variables that it is made of."""

import re

from msgspec import Struct

from claude_bottle.errors import BottleError

__all__ = ["HostVariable", "Text", "check_env", "parse_env"]

TOKEN = re.compile(
    r"(?P<text>[^$]+)|(?P<dollar>\$\$)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^$}]*))?\}",
)
HINT = "write ${NAME} or ${NAME:-default} for a variable of the host, and $$ for a dollar"


class Text(Struct, frozen=True):
    """Text that stands for itself."""

    text: str


class HostVariable(Struct, frozen=True):
    """`${NAME}`, or `${NAME:-default}`, whose default holds when the variable is unset or empty."""

    name: str
    default: str | None = None


def parse_env(text: str) -> tuple[Text | HostVariable, ...]:
    """Return the parts of a value, without looking at any variable.

    A value is literal when no part is a `HostVariable`; an empty one has no parts.
    BottleError for a `$` that begins nothing, and for a NUL; its message names the place, never the value.
    """
    if "\0" in text:
        raise BottleError("a NUL cannot stand in a variable")
    parts: list[Text | HostVariable] = []
    place = 0
    while place < len(text):
        token = TOKEN.match(text, place)
        if not token:
            raise BottleError(f"a $ at character {place + 1} begins nothing", HINT)
        place = token.end()
        name: str | None = token["name"]
        if name is not None:
            parts.append(HostVariable(name, token["default"]))
            continue
        plain = "$" if token["dollar"] else token["text"]
        if parts and isinstance(last := parts[-1], Text):
            plain = last.text + plain
            parts.pop()
        parts.append(Text(plain))
    return tuple(parts)


def check_env(text: str) -> str:
    """Return a value as it is, once it is known to parse."""
    parse_env(text)
    return text
