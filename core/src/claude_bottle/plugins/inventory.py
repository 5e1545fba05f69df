"""What is installed, read from metadata: nothing is imported, and one broken plugin hides no other."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import metadata
from importlib.metadata import Distribution, EntryPoint
from typing import NamedTuple

import msgspec
from msgspec import Struct

from claude_bottle import __version__
from claude_bottle.plugins.defaults import NO_DEFAULTS, Defaults
from claude_bottle.plugins.record import Record
from claude_bottle.plugins.versions import fits
from claude_bottle.seam.kinds import Kind

__all__ = ["GROUPS", "Inventory", "read_inventory"]

GROUPS: Mapping[str, Kind] = {
    "claude_bottle.backend": "backend",
    "claude_bottle.proxy": "proxy",
    "claude_bottle.provisioner": "provisioner",
    "claude_bottle.agent": "agent",
}
CORE = "claude-bottle-core"
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?(?P<range>[^;)]*)")
DEFAULTS_GROUP = "claude_bottle.defaults"
DEFAULTS_OWNER = "claude-bottle"
"""The one distribution whose preference counts: nobody is picked by availability but by its word."""


class Inventory(NamedTuple):
    """Every installed plugin, broken ones included, and the data of the default set."""

    records: tuple[Record, ...]
    defaults: Defaults

    def named(self, kind: Kind, name: str) -> tuple[Record, ...]:
        """Return all rows of one kind and name; more than one is a conflict."""
        return tuple(row for row in self.records if (row.kind, row.name) == (kind, name))

    def usable(self, kind: Kind) -> tuple[Record, ...]:
        """Return the rows of a kind that can be selected."""
        return tuple(row for row in self.records if row.kind == kind and row.status == "available")

    def section_names(self) -> frozenset[str]:
        """Return the names that may stand as sections of a bottle."""
        return frozenset(row.name for row in self.records)


class Installed(NamedTuple):
    """A distribution under its comparable name, with its entry points."""

    name: str
    distribution: Distribution
    entries: tuple[EntryPoint, ...]


class _DirInfo(Struct, frozen=True):
    editable: bool = False


class _DirectUrl(Struct, frozen=True):
    """Where a distribution came from (PEP 610), as far as it matters here."""

    dir_info: _DirInfo = _DirInfo()


def read_inventory(trusted: Collection[str] = (), blocked: Collection[str] = ()) -> Inventory:
    """Read the metadata of everything on the path.

    `trusted` are distributions that the user named, `blocked` names of plugins or of distributions.
    """
    found = tuple(_first_of_each(metadata.distributions()))
    defaults = _read_defaults(found)
    rows = [_record(one, entry, defaults) for one in found for entry in one.entries if entry.group in GROUPS]
    off = {normalise(name) for name in blocked}
    left = [row for row in rows if off.isdisjoint({normalise(row.name), row.distribution})]
    judged = [_judge(row, left, defaults, trusted) if row in left else _blocked(row) for row in rows]
    return Inventory(tuple(sorted(judged, key=lambda row: (row.kind, row.name, row.distribution))), defaults)


def normalise(name: str) -> str:
    """Return a distribution's name in its one comparable form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _first_of_each(distributions: Iterable[Distribution]) -> Iterator[Installed]:
    """Yield each distribution once: the first on the path is the one that Python would import."""
    seen: set[str] = set()
    for distribution in distributions:
        try:
            name = normalise(_header(distribution, "Name"))
            entries = tuple(distribution.entry_points)
        except Exception:  # noqa: BLE001, S112 - whatever is wrong with a stranger's metadata must hide nobody else
            continue
        if name and name not in seen:
            seen.add(name)
            yield Installed(name, distribution, entries)


def _header(distribution: Distribution, name: str) -> str:
    """Return a line of the metadata, empty if it is not there."""
    return (distribution.metadata.get_all(name) or [""])[0]


def _read_defaults(installed: Iterable[Installed]) -> Defaults:
    for one in installed:
        if one.name == DEFAULTS_OWNER:
            for entry in one.entries:
                if entry.group == DEFAULTS_GROUP:
                    return msgspec.convert(entry.load(), Defaults)
    return NO_DEFAULTS


def _record(one: Installed, entry: EntryPoint, defaults: Defaults) -> Record:
    kind = GROUPS[entry.group]
    return Record(
        name=entry.name,
        kind=kind,
        distribution=one.name,
        version=_header(one.distribution, "Version") or "unknown",
        target=entry.value,
        origin=_origin(one.distribution),
        location=str(one.distribution.locate_file("")),
        requires=_core_range(one.distribution),
        first_party=defaults.owner(kind, entry.name) == one.name,
    )


def _origin(distribution: Distribution) -> str:
    try:
        direct = msgspec.json.decode(distribution.read_text("direct_url.json") or "{}", type=_DirectUrl)
    except msgspec.DecodeError:
        return "unknown"
    return "editable" if direct.dir_info.editable else "wheel"


def _core_range(distribution: Distribution) -> str:
    for line in distribution.requires or ():
        found = REQUIREMENT.match(line)
        if found and normalise(found["name"]) == CORE:
            return "" if found["range"].startswith("@") else found["range"].strip()
    return ""


def _judge(row: Record, rows: Iterable[Record], defaults: Defaults, trusted: Collection[str]) -> Record:
    owner = defaults.owner(row.kind, row.name)
    if owner is not None and not row.first_party:
        return _with(row, "conflict", f"the name {row.name} belongs to {owner}", f"pip uninstall {row.distribution}")
    rivals = [
        other.distribution
        for other in rows
        if (other.kind, other.name) == (row.kind, row.name) and other.distribution != row.distribution
    ]
    if rivals and not row.first_party:
        reason = f"{row.kind} {row.name} also comes from {', '.join(sorted(rivals))}"
        return _with(row, "conflict", reason, f"pip uninstall {row.distribution}, or the other")
    if not fits(__version__, row.requires):
        reason = f"needs {CORE} {row.requires}, here is {__version__}"
        return _with(row, "incompatible", reason, f"pip install --upgrade {row.distribution} {CORE}")
    if not row.first_party and row.distribution not in {normalise(name) for name in trusted}:
        reason = "not of the default set; a manifest cannot switch it on"
        return _with(row, "untrusted", reason, f"add {row.distribution} to `trust` in config.yaml")
    return row


def _blocked(row: Record) -> Record:
    return _with(row, "blocked", "config.yaml says so", "take it out of `block` in config.yaml")


def _with(row: Record, status: str, reason: str, fix: str) -> Record:
    return msgspec.structs.replace(row, status=status, reason=reason, fix=fix)
