"""A YAML document: from bytes to a tree of text, without anything that makes YAML surprising.

Aliases, anchors, merge keys, tags, duplicate keys and second documents are problems. Size and depth have
limits.
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, cast

import yaml

from claude_bottle.errors import BottleError, Problem
from claude_bottle.manifest.node import Broken, Items, Node, Scalar, Section, Table, join

__all__ = ["MAX_BYTES", "MAX_DEPTH", "parse_document", "read_bytes"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 100

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
parse_events: Callable[[str], Iterable[yaml.Event]] = partial(cast("Any", yaml).parse, Loader=Loader)

STAR = 'quote a value that begins with *, for example "*.example.org"'
SYNTAX_HINTS = {
    "\t": "indent with spaces; YAML takes no tabs there",
    "@": "quote a value that begins with @",
    "`": "quote a value that begins with `",
    "%": "quote a value that begins with %",
}


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes, at most one more than a document may have; BottleError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise BottleError(f"{path} cannot be read: {error.strerror}") from error


def parse_document(data: bytes, file: str) -> tuple[Section | None, list[Problem]]:
    """Return the one document in `data`, and all problems of its form.

    None where the text breaks off: not UTF-8, too big, too deep, or no YAML. `file` is the name in problems.
    """
    builder = Builder(file)
    text = decode_text(data, builder)
    if text is None:
        return None, builder.problems
    try:
        builder.build(parse_events(text))
    except yaml.MarkedYAMLError as error:
        builder.problems.append(syntax_problem(error, text, file))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        builder.report(line, "", "a control character", 'write it as an escape in double quotes, as in "\\x07"')
    except TooDeepError as error:
        builder.report(error.line, "", f"more than {MAX_DEPTH} levels deep")
    else:
        return Section(builder.root or Scalar(1, "", plain=True), file), builder.problems
    return None, builder.problems


def decode_text(data: bytes, builder: "Builder") -> str | None:
    """Return the text, or report why there is none."""
    if len(data) > MAX_BYTES:
        builder.report(1, "", f"more than {MAX_BYTES >> 20} MiB")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        builder.report(data.count(b"\n", 0, error.start) + 1, "", "not UTF-8")
        return None


def syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    """Return what the parser met, with line, column and, for the usual mistakes, the cure."""
    if error.context == "while scanning an alias":
        return Problem("a value that begins with * needs quotes", STAR, place(error.context_mark, file))
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    rows = text.split("\n")
    at = rows[line][column : column + 1] if line < len(rows) else ""
    hint = SYNTAX_HINTS.get(at)
    if error.problem and "mapping values are not allowed" in error.problem:
        hint = "quote a value that holds a colon and a space, and indent sister keys alike"
    message = ", ".join(part for part in (error.context, error.problem) if part)
    return Problem(f"not YAML: {message}", hint, place(mark, file))


def place(mark: yaml.Mark | None, file: str) -> str:
    """Return file, line and column, which count from 1."""
    return f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file


class TooDeepError(Exception):
    """The document nests further than anyone would write by hand."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class Frame:
    """A list or mapping that is still open."""

    def __init__(self, line: int, path: str, *, table: bool) -> None:
        self.line, self.path, self.table = line, path, table
        self.children: list[Node] = []
        self.keys: list[str | None] = []
        self.seen: dict[str, int] = {}
        self.key_line: int | None = None

    @property
    def at_key(self) -> bool:
        """Whether the next node is the key of an entry."""
        return self.table and len(self.keys) == len(self.children)

    def close(self) -> Node:
        """Return the finished node; values of unusable keys are left out."""
        if not self.table:
            return Items(self.line, tuple(self.children))
        pairs = zip(self.keys, self.children, strict=True)
        return Table(self.line, tuple((key, child) for key, child in pairs if key is not None))


class Builder:
    """Makes the tree from the parser's events, without recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self.stack: list[Frame] = []

    def report(self, line: int, path: str, message: str, hint: str | None = None) -> None:
        """Note a problem of the document's form."""
        self.problems.append(Section(Scalar(line, ""), self.file, path).problem(message, hint))

    def build(self, events: Iterable[yaml.Event]) -> None:
        """Take all events of a stream, up to the end of its first document."""
        for event in events:
            line: int = event.start_mark.line + 1
            match event:
                case yaml.DocumentStartEvent() if self.root is not None:
                    self.report(line, "", "a second document", "a manifest is one document: remove the line ---")
                    return
                case yaml.AliasEvent():
                    self.report(line, self.path(), "an alias is not supported", STAR)
                    self.add(Broken(self.line(line)))
                case yaml.ScalarEvent(value=value, implicit=implicit):
                    self.refuse_properties(event, line)
                    self.add(Scalar(self.line(line), str(value), plain=bool(implicit[0])))
                case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                    self.refuse_properties(event, line)
                    self.open(line, table=isinstance(event, yaml.MappingStartEvent))
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    self.add(self.stack.pop().close())
                case _:
                    pass

    def refuse_properties(self, event: yaml.NodeEvent, line: int) -> None:
        """Report an anchor or tag, which would vanish from a value that was meant to begin with & or !."""
        tag: str | None = getattr(event, "tag", None)
        if event.anchor is not None:
            self.report(line, self.path(), "an anchor is not supported", "quote a value that begins with &")
        if tag is not None:
            self.report(line, self.path(), "a tag is not supported", "quote a value that begins with !")

    def path(self) -> str:
        """Return the address of the node that comes next."""
        if not self.stack:
            return ""
        frame = self.stack[-1]
        if not frame.table:
            return join(frame.path, len(frame.children))
        key = None if frame.at_key else frame.keys[-1]
        return frame.path if key is None else join(frame.path, key)

    def line(self, own: int) -> int:
        """Return the line by which the next node is named: its key's where it has one."""
        frame = self.stack[-1] if self.stack else None
        return frame.key_line if frame and frame.key_line is not None and not frame.at_key else own

    def open(self, line: int, *, table: bool) -> None:
        """Begin a list or mapping."""
        if len(self.stack) >= MAX_DEPTH:
            raise TooDeepError(line)
        self.stack.append(Frame(self.line(line), self.path(), table=table))

    def add(self, node: Node) -> None:
        """Put a finished node where it belongs."""
        if not self.stack:
            self.root = node
            return
        frame = self.stack[-1]
        if frame.at_key:
            frame.keys.append(self.key(node, frame))
            frame.key_line = node.line
        else:
            frame.children.append(node)
            frame.key_line = None

    def key(self, node: Node, frame: Frame) -> str | None:
        """Return a key, or None for one that cannot be; duplicates are reported and stay."""
        if isinstance(node, Broken):
            return None
        if not isinstance(node, Scalar) or not node.text:
            self.report(node.line, frame.path, "a key must be text")
            return None
        if node.plain and node.text == "<<":
            self.report(node.line, frame.path, "a merge key is not supported", "write the keys out")
            return None
        if node.text in frame.seen:
            first = frame.seen[node.text]
            self.report(node.line, join(frame.path, node.text), f"duplicate key (first on line {first})")
        frame.seen.setdefault(node.text, node.line)
        return node.text
