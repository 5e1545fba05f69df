"""The loaded manifest: what a file says, where it says it, and all that is wrong with it."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial, reduce
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from claude_bottle.errors import Problem, ProblemsError
from claude_bottle.manifest.decode import decode_section
from claude_bottle.manifest.document import parse_document, read_bytes
from claude_bottle.manifest.names import did_you_mean
from claude_bottle.manifest.node import Items, Node, Scalar, Section, Table, join, quote
from claude_bottle.manifest.types import Manifest

__all__ = ["Claim", "LoadedManifest", "claims", "decode_manifest", "load_manifest"]

VERSION = "1"
LINE = re.compile(r":(\d+)")

Key = str | int
Address = tuple[Key, ...]


class LoadedManifest(Struct, frozen=True, kw_only=True):
    """A manifest and the file that it came from.

    `manifest` is the best that could be had: beside `problems` it lacks what is bad, and is None when
    `version`, `bottles` or `agents` is. `data` are the very bytes that were read.
    """

    path: Path
    file: str
    data: bytes
    manifest: Manifest | None
    problems: tuple[Problem, ...]
    lines: Mapping[Address, int]

    @property
    def sha256(self) -> str:
        """The hash of the bytes that were read, in hex."""
        import hashlib  # noqa: PLC0415 - a plan can be shown without it

        return hashlib.sha256(self.data).hexdigest()

    def where(self, *address: Key) -> str:
        """Return file, line and key of a part; one that is not written has the line of what it belongs to."""
        near = next((address[:n] for n in range(len(address), 0, -1) if address[:n] in self.lines), ())
        path = reduce(join, address, "")
        place = f"{self.file}:{self.lines.get(near, 1)}"
        return f"{place}: {path}" if path else place

    def find(self, path: str) -> str:
        """Return file, line and key of a part that is named as `bottles.dev.NAME.memory`, list items by number.

        A key that is written with dots is found as it is written.
        """
        address: Address = ()
        words = path.split(".")
        while words:
            known = (n for n in range(len(words), 0, -1) if (*address, ".".join(words[:n])) in self.lines)
            taken = next(known, 1)
            key, words = ".".join(words[:taken]), words[taken:]
            number: Key = int(key) if key.isdecimal() else key
            address = (*address, number if (*address, number) in self.lines else key)
        return self.where(*address)

    def checked(self) -> Manifest:
        """Return the manifest; ProblemsError with all problems if there is one."""
        if self.problems or self.manifest is None:
            raise ProblemsError(self.problems)
        return self.manifest


def load_manifest(path: Path, section_names: Collection[str], cwd: Path) -> LoadedManifest:
    """Read a manifest; BottleError if there is no reading it, while what is wrong in it are `problems`.

    `section_names` are those of the installed plugins. Problems name the file as it is seen from `cwd`.
    """
    file = path.relative_to(cwd) if path.is_relative_to(cwd) else path
    return decode_manifest(read_bytes(path), path, section_names, str(file))


def decode_manifest(data: bytes, path: Path, section_names: Collection[str], file: str) -> LoadedManifest:
    """Return what a manifest's bytes say; problems come in the order of their lines."""
    root, problems = parse_document(data, file)
    lines = line_map(root)
    manifest = None
    if root is not None and (refusal := refuse(root)):
        problems = [refusal]
    elif root is not None:
        manifest, found = decode_section(root, Manifest, section_names)
        problems += found
    loaded = LoadedManifest(
        path=path,
        file=file,
        data=data,
        manifest=manifest,
        problems=(),
        lines=lines,
    )
    problems += strays(loaded)
    return replace(loaded, problems=tuple(sorted(problems, key=partial(line_of, file=file))))


def refuse(root: Section) -> Problem | None:
    """Return why a document is not to be read at all: it is empty, or of another version."""
    if isinstance(root.node, Scalar) and root.node.null:
        return root.problem("the manifest is empty", "bottle init writes one that works")
    if not isinstance(root.node, Table):
        return None
    for key, node in root.node.entries:
        if key == "version" and isinstance(node, Scalar) and node.text != VERSION:
            message = f"this bottle reads version {VERSION}, not {quote(node.text)}"
            return root.child(key, node).problem(message)
    return None


def strays(loaded: LoadedManifest) -> list[Problem]:
    """Return a problem for each agent whose bottle is not there; one that is there but bad has its own."""
    if loaded.manifest is None:
        return []
    written = (address[1:] for address in loaded.lines if address[:1] == ("bottles",))
    bottles = {str(rest[0]) for rest in written if rest}
    return [
        Problem(
            f"there is no bottle {quote(agent.bottle)}{did_you_mean(agent.bottle, bottles)}",
            where=loaded.where("agents", name, "bottle"),
        )
        for name, agent in loaded.manifest.agents.items()
        if agent.bottle not in bottles
    ]


def line_map(root: Section | None) -> Mapping[Address, int]:
    """Return the line of each part; of duplicate keys the first."""
    lines: dict[Address, int] = {}
    for address, line in places(root.node, ()) if root else ():
        lines.setdefault(address, line)
    return MappingProxyType(lines)


def places(node: Node, address: Address) -> Iterator[tuple[Address, int]]:
    """Yield the address and line of a node and of all below it, in the order of the file."""
    yield address, node.line
    pairs: Iterable[tuple[Key, Node]] = ()
    if isinstance(node, Table):
        pairs = node.entries
    elif isinstance(node, Items):
        pairs = enumerate(node.children)
    for key, child in pairs:
        yield from places(child, (*address, key))


def line_of(problem: Problem, file: str) -> int:
    """Return the line that a problem names."""
    number = LINE.match(problem.where, len(file))
    return int(number[1]) if number else 0


class Claim(NamedTuple):
    """A key of a manifest that does something only when a plugin of this name takes it."""

    name: str
    where: str


def claims(loaded: LoadedManifest, agent: str) -> tuple[Claim, ...]:
    """Return what one agent and its bottle want of plugins: `skills`, `ssh`, `workspace` and all sections.

    Empty keys want nothing; a section that is written wants its plugin even when it is empty. No agent or
    no bottle of that name has none.
    """
    runs = loaded.manifest.agents.get(agent) if loaded.manifest else None
    bottle = loaded.manifest.bottles.get(runs.bottle) if loaded.manifest and runs else None
    if runs is None or bottle is None:
        return ()
    base = ("bottles", runs.bottle)
    wanted: list[tuple[str, bool, Address]] = [
        ("skills", bool(runs.skills), ("agents", agent)),
        ("ssh", bool(bottle.ssh), base),
        ("workspace", bottle.workspace is not None, base),
    ]
    own = [Claim(name, loaded.where(*address, name)) for name, given, address in wanted if given]
    return (*own, *(Claim(name, section.where) for name, section in bottle.sections.items()))
