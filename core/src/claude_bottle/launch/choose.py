"""The team of a launch: chosen by name, imported, and their sections of the manifest typed."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from claude_bottle.errors import BottleError, PluginError, Problem
from claude_bottle.launch.sources import Request, Sources, Surroundings
from claude_bottle.launch.team import Team, ask
from claude_bottle.manifest.decode import decode_section
from claude_bottle.manifest.load import Claim
from claude_bottle.manifest.names import OWN_KEYS
from claude_bottle.manifest.types import AgentSection, BottleSection
from claude_bottle.plan.spec import Choice
from claude_bottle.plugins.load import Loaded, implemented, load
from claude_bottle.plugins.record import Outcome, Record, failure
from claude_bottle.plugins.select import (
    BACKEND_VARIABLE,
    PREFERENCE,
    PROXY_VARIABLE,
    Wishes,
    choose_backend,
    choose_proxy,
    find_record,
)
from claude_bottle.seam.kinds import Kind
from claude_bottle.seam.probe import ProbeResult

__all__ = ["Chosen", "choose_team", "type_sections", "with_others"]


NONE = Choice("none", "none could be chosen")


class Chosen(NamedTuple):
    """Who chose backend and proxy, the plugins that could be had, and what stood in the way of the others.

    `team` is None unless nothing did.
    """

    backend: Choice
    proxy: Choice
    loaded: tuple[Loaded, ...]
    team: Team | None
    problems: tuple[Problem, ...]


class _Loader:
    """Imports each plugin once, and turns what fails into problems."""

    def __init__(self, note: Callable[[Record, Outcome], None]) -> None:
        self._note = note
        self._loaded: dict[Record, Loaded] = {}
        self.problems: list[Problem] = []

    def load(self, record: Record) -> Loaded:
        """Return a plugin, imported now or before."""
        if record not in self._loaded:
            try:
                loaded = load(record)
            except PluginError as error:
                self._note(record, failure(record, error))
                raise
            self._note(record, Outcome(hooks=implemented(loaded.plugin), going=loaded.going))
            self._loaded[record] = loaded
        return self._loaded[record]

    def find(self, kind: Kind, choice: Choice, sources: Sources, where: str = "") -> Loaded | None:
        """Return the chosen plugin, or None once the reason is a problem."""
        try:
            return self.load(find_record(kind, choice, sources.inventory))
        except PluginError as error:
            self.problems.append(Problem(error.message, error.hint, where))
            return None

    def chosen(self, choose: Callable[[], Choice], *, silent: bool = False) -> Choice:
        """Return a choice, or NONE once the reason is a problem, or is known already."""
        try:
            return choose()
        except BottleError as error:
            if not silent:
                self.problems.append(Problem(error.message, error.hint))
            return NONE

    def probe(self, record: Record) -> ProbeResult:
        """Ask a plugin what it misses on this machine."""
        loaded = self.load(record)
        return ask(loaded, loaded.hooks.probe)


def choose_team(
    request: Request,
    around: Surroundings,
    sources: Sources,
    agent: AgentSection,
    bottle: BottleSection,
    claimed: Sequence[Claim],
) -> Chosen:
    """Select one backend, one proxy, one agent and the provisioners that the manifest's keys name."""
    loader, config, at = _Loader(around.note_load), sources.config, sources.manifest.where

    def place(choice: Choice) -> str:
        kind = "backend" if choice.name == bottle.backend else "proxy"
        return at("bottles", agent.bottle, kind) if choice.why == "manifest" else ""

    first = Wishes(request.backend, around.environ.get(BACKEND_VARIABLE), bottle.backend, config.backend)
    backend = loader.chosen(lambda: choose_backend(first, sources.inventory, loader.probe))
    runner = loader.find("backend", backend, sources, place(backend)) if backend != NONE else None
    second = Wishes(request.proxy, around.environ.get(PROXY_VARIABLE), bottle.proxy, config.proxy)
    silent = runner is None  # the backend's own problem says enough
    proxy = loader.chosen(lambda: choose_proxy(second, sources.inventory, backend.name), silent=silent)
    members = (
        loader.find("agent", Choice(agent.agent, "manifest"), sources, at("agents", request.agent, "agent")),
        runner,
        loader.find("proxy", proxy, sources, place(proxy)) if proxy != NONE else None,
    )
    provisioners = _provisioners(loader, sources, claimed)
    match members:
        case (Loaded() as one, Loaded() as two, Loaded() as three) if not loader.problems:
            team = Team(one, provisioners, two, three)
        case _:
            team = None
    one, *others = members
    loaded = tuple(it for it in (one, *provisioners, *others) if it is not None)
    return Chosen(backend, proxy, loaded, team, tuple(loader.problems))


def _provisioners(loader: _Loader, sources: Sources, claimed: Sequence[Claim]) -> tuple[Loaded, ...]:
    """Load the provisioner of each key that is written; a key that nobody claims is a problem.

    A section of a backend, proxy or agent stays theirs, whatever provisioner of that name nobody trusts is installed.
    """
    installed = {row.name for row in sources.inventory.records if row.kind == "provisioner"}
    usable = {row.name for row in sources.inventory.usable("provisioner")}
    others = {row.name for row in sources.inventory.records if row.kind != "provisioner"} - usable - OWN_KEYS
    found: list[Loaded] = []
    for claim in claimed:
        if claim.name in others:
            continue
        if claim.name in installed:
            if (loaded := loader.find("provisioner", Choice(claim.name, "manifest"), sources, claim.where)) is not None:
                found.append(loaded)
        else:
            hint = f"install a provisioner plugin named {claim.name}, or remove the key"
            loader.problems.append(
                Problem("no installed plugin claims this key, so it would do nothing", hint, claim.where)
            )
    return tuple(found)


def type_sections(
    loaded_plugins: Sequence[Loaded], bottle: BottleSection
) -> tuple[tuple[tuple[str, Struct], ...], list[Problem]]:
    """Give each plugin's section its type; one that is not written has the type's defaults, a bad one is left out."""
    typed: list[tuple[str, Struct]] = []
    problems: list[Problem] = []
    for loaded in loaded_plugins:
        raw = bottle.sections.get(loaded.name)
        if raw is None:
            typed.append((loaded.name, loaded.plugin.section()))
            continue
        section, found = decode_section(raw, loaded.plugin.section)
        problems += found
        if section is not None:
            typed.append((loaded.name, section))
    return tuple(typed), problems


def with_others(problems: list[Problem], backend: Choice, sources: Sources) -> list[Problem]:
    """Say at the end of this machine's problems what else could be named, where nobody named the backend.

    It is never taken in silence: that would change isolation.
    """
    others = [it.backend for it in sources.inventory.defaults.preference if it.backend != backend.name]
    if not problems or not others or not backend.why.startswith(PREFERENCE):
        return problems
    *rest, last = problems
    way = f"or take another backend: --backend {' or '.join(others)}"
    return [*rest, replace(last, hint=f"{last.hint}; {way}" if last.hint else way)]
