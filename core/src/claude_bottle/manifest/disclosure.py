"""The disclosure: what a manifest that nobody approved yet takes from the host, and what it loosens."""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

from claude_bottle.manifest.environment import HostVariable, parse_env
from claude_bottle.manifest.host import parse_host
from claude_bottle.manifest.node import Items, Scalar, Section, Table, join, quote
from claude_bottle.manifest.types import BottleSection, Egress, Manifest, Secret

__all__ = ["Disclosed", "Disclosure", "disclose"]

USUAL_PORTS = frozenset({None, 80, 443})
SSH_PORT = 22


class Disclosed(NamedTuple):
    """A key of the manifest, and what it says."""

    key: str
    text: str


class Disclosure(Struct, frozen=True, kw_only=True):
    """All that a user should see before they accept a manifest, without any variable's value.

    `paths`: read on the host, of its files and its keyring. `variables`: read from the host's environment.
    `secrets`: questions that it asks. `loosened`: what differs from the strict default. `plugins`: which plugins it
    picks. `sections`: each line of a plugin's section, since only that plugin knows what it means.
    """

    paths: tuple[Disclosed, ...]
    variables: tuple[Disclosed, ...]
    secrets: tuple[Disclosed, ...]
    loosened: tuple[Disclosed, ...]
    plugins: tuple[Disclosed, ...]
    sections: tuple[Disclosed, ...]


def disclose(manifest: Manifest, agent: str | None = None) -> Disclosure:
    """Return the disclosure of one agent and its bottle, or of all.

    An approval holds for the whole file, so the question about a new or changed one shows all.
    """
    agents = {name: runs for name, runs in manifest.agents.items() if agent in (None, name)}
    names = manifest.bottles if agent is None else {runs.bottle for runs in agents.values()}
    bottles = [(join("bottles", name), each) for name, each in manifest.bottles.items() if name in names]
    skills = (
        Disclosed(f"{join('agents', name)}.skills[{index}]", f"~/.claude/skills/{skill}")
        for name, runs in agents.items()
        for index, skill in enumerate(runs.skills)
    )
    programs = (Disclosed(f"{join('agents', name)}.agent", runs.agent) for name, runs in agents.items())
    return Disclosure(
        paths=(*(line for at, bottle in bottles for line in (*paths(at, bottle), *entries(at, bottle))), *skills),
        variables=tuple(line for at, bottle in bottles for line in variables(at, bottle)),
        secrets=tuple(line for at, bottle in bottles for line in secrets(at, bottle)),
        loosened=tuple(line for at, bottle in bottles for line in loosened(at, bottle)),
        plugins=(*(line for at, bottle in bottles for line in plugins(at, bottle)), *programs),
        sections=tuple(
            line for _, bottle in bottles for section in bottle.sections.values() for line in leaves(section)
        ),
    )


def paths(at: str, bottle: BottleSection) -> Iterator[Disclosed]:
    """Yield the files on the host that a bottle names."""
    for index, entry in enumerate(bottle.ssh):
        yield Disclosed(f"{at}.ssh[{index}].identity_file", entry.identity_file)


def entries(at: str, bottle: BottleSection) -> Iterator[Disclosed]:
    """Yield the entries of the user's keyring that a bottle names."""
    for name, entry in bottle.env.items():
        if isinstance(entry, Secret) and entry.keyring:
            yield Disclosed(f"{at}.env.{name}.keyring", f"the keyring's {entry.keyring}")


def variables(at: str, bottle: BottleSection) -> Iterator[Disclosed]:
    """Yield the host's variables that a bottle reads."""
    for name, entry in bottle.env.items():
        parts = () if isinstance(entry, Secret) else parse_env(entry)
        for part in parts:
            if isinstance(part, HostVariable):
                yield Disclosed(f"{at}.env.{name}", part.name)


def secrets(at: str, bottle: BottleSection) -> Iterator[Disclosed]:
    """Yield the secrets that a bottle wants, by their questions, and the host that one is injected for."""
    for name, entry in bottle.env.items():
        if isinstance(entry, Secret):
            goes = f", for {entry.inject.host} alone" if entry.inject else ""
            yield Disclosed(f"{at}.env.{name}", entry.secret + goes)


def loosened(at: str, bottle: BottleSection) -> Iterator[Disclosed]:
    """Yield each setting of a bottle that is less strict than the default, or chooses another runtime."""
    if bottle.runtime is not None:
        yield Disclosed(f"{at}.runtime", bottle.runtime)
    yield from loosened_egress(f"{at}.egress", bottle.egress)
    for index, entry in enumerate(bottle.ssh):
        if entry.port != SSH_PORT:
            yield Disclosed(f"{at}.ssh[{index}].port", str(entry.port))
    if bottle.workspace and bottle.workspace.mode == "bind":
        yield Disclosed(f"{at}.workspace.mode", "bind")


def loosened_egress(at: str, egress: Egress) -> Iterator[Disclosed]:
    """Yield each way out that the default keeps shut, and each host that is looked at less closely."""
    for index, host in enumerate(egress.allowlist):
        if parse_host(host).port not in USUAL_PORTS:
            yield Disclosed(f"{at}.allowlist[{index}]", host)
    if egress.dlp_action != "block":
        yield Disclosed(f"{at}.dlp_action", egress.dlp_action)
    for host, level in egress.inspect.items():
        if level != "block":
            yield Disclosed(join(f"{at}.inspect", host), level)
    for index, network in enumerate(egress.private_addresses):
        yield Disclosed(f"{at}.private_addresses[{index}]", network)


def plugins(at: str, bottle: BottleSection) -> Iterator[Disclosed]:
    """Yield the plugins that a bottle picks."""
    for key, name in (("backend", bottle.backend), ("proxy", bottle.proxy)):
        if name is not None:
            yield Disclosed(f"{at}.{key}", name)


def leaves(section: Section) -> Iterator[Disclosed]:
    """Yield each line of a section that is not typed yet."""
    node = section.node
    match node:
        case Scalar(text=text):
            yield Disclosed(section.path, text if text.isprintable() else quote(text))
        case Table(entries=entries) if entries:
            for key, child in entries:
                yield from leaves(section.child(key, child))
        case Items(children=children) if children:
            for index, child in enumerate(children):
                yield from leaves(section.child(index, child))
        case _:
            yield Disclosed(section.path, "")
