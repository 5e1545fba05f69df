"""The parts of a YAML document as text, each with its line and its address."""

import re

from msgspec import Struct

from claude_bottle.errors import Problem

__all__ = ["Broken", "Items", "Node", "Scalar", "Section", "Table", "join", "quote"]

SHOWN = 60
PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class Node(Struct, frozen=True):
    """One part of a document; `line` counts from 1 and is that of the key where there is one."""

    line: int


class Scalar(Node, frozen=True):
    """Text that has no type until a field gives it one; `plain` means that it stands without quotes."""

    text: str
    plain: bool = False

    @property
    def null(self) -> bool:
        """Whether YAML calls this null; a text field takes it as the text that it is."""
        return self.plain and self.text in NULLS


class Items(Node, frozen=True):
    """A list."""

    children: tuple[Node, ...]


class Table(Node, frozen=True):
    """A mapping in the order of the file; a duplicate key is there as often as it was written."""

    entries: tuple[tuple[str, Node], ...]


class Broken(Node, frozen=True):
    """A part that has been reported already: there is nothing to read, and nothing more to say."""


class Section(Struct, frozen=True):
    """A node with the address by which problems name it, whatever its type will be."""

    node: Node
    file: str
    path: str = ""

    @property
    def where(self) -> str:
        """File, line and key: `bottle.yaml:17: bottles.dev.egress`."""
        place = f"{self.file}:{self.node.line}"
        return f"{place}: {self.path}" if self.path else place

    def child(self, key: str | int, node: Node) -> "Section":
        """Return a part of this section: a key's value, or the item at an index."""
        return Section(node, self.file, join(self.path, key))

    def problem(self, message: str, hint: str | None = None) -> Problem:
        """Return a problem of this very place."""
        return Problem(message, hint, self.where)


def join(path: str, key: str | int) -> str:
    """Return the address of a part: `bottles.dev`, `ssh[0]`, `inspect["*.example.org"]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not PLAIN_KEY.fullmatch(key):
        return f"{path}[{quote(key)}]"
    return f"{path}.{key}" if path else key


def quote(text: str) -> str:
    """Return text that somebody else wrote as it can be shown: one line of ASCII, clipped.

    Escape sequences, line breaks, look-alike letters and changes of direction show up as escapes.
    """
    clipped = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return '"' + clipped.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'
