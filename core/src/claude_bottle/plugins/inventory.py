"""What is installed, read from metadata: nothing is imported, and one broken plugin hides no other."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import metadata
from importlib.metadata import Distribution, EntryPoint
from typing import NamedTuple

import msgspec
from msgspec import Struct

from claude_bottle import __version__
from claude_bottle.manifest.names import OWN_KEYS
from claude_bottle.plugins.defaults import NO_DEFAULTS, Defaults
from claude_bottle.plugins.record import Record, Unreadable
from claude_bottle.plugins.trust import TRUST_VARIABLE, Locked, Rules, fingerprint, normalise
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
NO_RULES = Rules()
DEFAULTS_GROUP = "claude_bottle.defaults"
DEFAULTS_OWNER = "claude-bottle"
"""The one distribution whose preference counts: nobody is picked by availability but by its word."""


class Inventory(NamedTuple):
    """Every installed plugin, broken ones included, and the data of the default set."""

    records: tuple[Record, ...]
    defaults: Defaults
    unreadable: tuple[Unreadable, ...] = ()

    def named(self, kind: Kind, name: str) -> tuple[Record, ...]:
        """Return all rows of one kind and name; more than one is a conflict."""
        return tuple(row for row in self.records if (row.kind, row.name) == (kind, name))

    def of(self, name: str) -> tuple[Record, ...]:
        """Return all rows of a plugin or of a distribution."""
        return tuple(row for row in self.records if _is_named(row, {normalise(name)}))

    def usable(self, kind: Kind) -> tuple[Record, ...]:
        """Return the rows of a kind that can be selected."""
        return tuple(row for row in self.records if row.kind == kind and row.status == "available")

    def without(self, blocked: Collection[str], who: str) -> "Inventory":
        """Return the same without what a file blocks: plugins or distributions, by name."""
        names = {normalise(name) for name in blocked}
        if not names:
            return self
        rows = (_blocked(row, who) if _is_named(row, names) else row for row in self.records)
        return self._replace(records=tuple(rows))

    def section_names(self) -> frozenset[str]:
        """Return the names that may stand as sections of a bottle."""
        return frozenset(row.name for row in self.records) - OWN_KEYS


class Installed(NamedTuple):
    """A distribution under its comparable name, with its entry points."""

    name: str
    distribution: Distribution
    entries: tuple[EntryPoint, ...]
    duplicates: tuple[str, ...]


class _DirInfo(Struct, frozen=True):
    editable: bool = False


class _DirectUrl(Struct, frozen=True):
    """Where a distribution came from (PEP 610), as far as it matters here."""

    url: str = ""
    dir_info: _DirInfo = _DirInfo()


def read_inventory(rules: Rules = NO_RULES) -> Inventory:
    """Read the metadata of everything on the path, and judge each plugin by the user's rules."""
    found, unreadable = _first_of_each(metadata.distributions())
    defaults = _read_defaults(found, unreadable)
    pairs = [(one, _record(one, entry, defaults)) for one in found for entry in one.entries if entry.group in GROUPS]
    left = [row for _, row in pairs if not _is_named(row, rules.blocked)]
    judged = [
        _judge(row, left, defaults, rules, one.distribution) if row in left else _blocked(row, "config.yaml")
        for one, row in pairs
    ]
    ordered = sorted(judged, key=lambda row: (row.kind, row.name, row.distribution))
    return Inventory(tuple(ordered), defaults, tuple(unreadable))


def _first_of_each(distributions: Iterable[Distribution]) -> tuple[list[Installed], list[Unreadable]]:
    """Return each distribution once, the first on the path, which Python would import; and who cannot be read.

    Whatever is wrong with a stranger's metadata hides nobody else.
    """
    found: dict[str, Installed] = {}
    unreadable: list[Unreadable] = []
    for distribution in distributions:
        try:
            name = normalise(_header(distribution, "Name"))
            entries = tuple(distribution.entry_points)
        except Exception as error:  # noqa: BLE001 - as above
            unreadable += _unreadable(distribution, f"its metadata cannot be read: {type(error).__name__}: {error}")
            continue
        if not name:
            unreadable += _unreadable(distribution, "its metadata have no name")
        elif name not in found:
            found[name] = Installed(name, distribution, entries, ())
        else:
            others = (*found[name].duplicates, _folder(distribution))
            found[name] = found[name]._replace(duplicates=others)
    return list(found.values()), unreadable


def _unreadable(distribution: Distribution, reason: str) -> Iterator[Unreadable]:
    """Yield what is wrong with a distribution that has plugins of ours; others are none of our business."""
    try:
        ours = any(group in (distribution.read_text("entry_points.txt") or "") for group in GROUPS)
        folder = _folder(distribution)
    except Exception:  # noqa: BLE001 - it has no more to say than that it is broken
        return
    if ours:
        name = normalise(folder.rpartition("/")[2].partition("-")[0])
        fix = f"pip install --force-reinstall {name}, or remove that folder"
        yield Unreadable(location=folder, reason=reason.partition("\n")[0], fix=fix)


def _folder(distribution: Distribution) -> str:
    """Return the folder of the metadata, else the one on the path that it lies in."""
    return str(getattr(distribution, "_path", None) or distribution.locate_file(""))


def _header(distribution: Distribution, name: str) -> str:
    """Return a line of the metadata, empty if it is not there."""
    return (distribution.metadata.get_all(name) or [""])[0]


def _read_defaults(installed: Iterable[Installed], unreadable: list[Unreadable]) -> Defaults:
    """Return the data of the default set; where they are broken there are none, and nothing is picked or trusted."""
    entries = (it for one in installed if one.name == DEFAULTS_OWNER for it in one.entries)
    entry = next((it for it in entries if it.group == DEFAULTS_GROUP), None)
    if entry is None:
        return NO_DEFAULTS
    try:
        return msgspec.convert(entry.load(), Defaults)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever its import does
        what = f"the default set cannot be read: {type(error).__name__}: {error}".partition("\n")[0]
        fix = f"pip install --force-reinstall {DEFAULTS_OWNER}"
        unreadable.append(Unreadable(location=entry.value, reason=what, fix=fix))
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
        duplicates=one.duplicates,
        first_party=defaults.owner(kind, entry.name) == one.name,
    )


def _origin(distribution: Distribution) -> str:
    try:
        direct = msgspec.json.decode(distribution.read_text("direct_url.json") or "{}", type=_DirectUrl)
    except msgspec.DecodeError:
        return "unknown"
    if direct.dir_info.editable:
        return "editable"
    return "url" if direct.url else "wheel"


def _core_range(distribution: Distribution) -> str:
    for line in distribution.requires or ():
        found = REQUIREMENT.match(line)
        if found and normalise(found["name"]) == CORE:
            return "" if found["range"].startswith("@") else found["range"].strip()
    return ""


def _judge(row: Record, rows: Iterable[Record], defaults: Defaults, rules: Rules, distribution: Distribution) -> Record:
    owner = defaults.owner(row.kind, row.name)
    if owner is not None and not row.first_party:
        return _with(row, "conflict", f"the name {row.name} belongs to {owner}", f"pip uninstall {row.distribution}")
    rivals = [
        other.distribution
        for other in rows
        if (other.kind, other.name) == (row.kind, row.name) and other.distribution != row.distribution
    ]
    pinned = rules.pins.get(normalise(row.name))
    if rivals and not row.first_party and pinned != row.distribution:
        reason = f"{row.kind} {row.name} also comes from {', '.join(sorted(rivals))}"
        fix = f"pip uninstall one of them, or say `pin: {{{row.name}: {row.distribution}}}` in config.yaml"
        return _with(row, "conflict", f"{reason}, which is pinned" if pinned in rivals else reason, fix)
    if not fits(__version__, row.requires):
        reason = f"needs {CORE} {row.requires}, here is {__version__}"
        return _with(row, "incompatible", reason, f"pip install --upgrade {row.distribution} {CORE}")
    return _judge_trust(row, rules, distribution)


def _judge_trust(row: Record, rules: Rules, distribution: Distribution) -> Record:
    """Say who vouches for a plugin that could be used otherwise."""
    if row.first_party or row.distribution in rules.named:
        return msgspec.structs.replace(row, trusted_by="the default set" if row.first_party else TRUST_VARIABLE)
    seen = Locked(version=row.version, sha256=fingerprint(distribution))
    known = rules.locked.get(row.distribution)
    if known == seen:
        return msgspec.structs.replace(row, trusted_by="plugins.lock")
    if known is None:
        reason = "nobody here has trusted it yet"
    elif known.version != row.version:
        reason = f"it was trusted as {known.version}, and this is {row.version}"
    else:
        reason = "its files are not those that were trusted"
    return _with(row, "untrusted", reason, f"bottle plugins trust {row.name}")


def _is_named(row: Record, names: Collection[str]) -> bool:
    return normalise(row.name) in names or row.distribution in names


def _blocked(row: Record, who: str) -> Record:
    return _with(row, "blocked", f"{who} says so", f"take it out of `block` in {who}")


def _with(row: Record, status: str, reason: str, fix: str) -> Record:
    return msgspec.structs.replace(row, status=status, reason=reason, fix=fix)
