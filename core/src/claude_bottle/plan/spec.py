"""One agent and its bottle as the manifest and the command line have them, before anything is resolved."""

from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from claude_bottle.errors import Problem, ProblemsError
from claude_bottle.manifest.types import Egress, EnvEntry, Ssh, Workspace
from claude_bottle.seam.levels import HostRule
from claude_bottle.seam.part import Part
from claude_bottle.seam.traits import BackendTraits

__all__ = ["BottleSpec", "Choice", "Draft", "Upstream", "check_memory", "find_section"]

S = TypeVar("S", bound=Struct)


class Choice(Struct, frozen=True):
    """A plugin's name, and who chose it: `flag`, `environment`, `manifest`, `user config` or a preference."""

    name: str
    why: str


class Upstream(Struct, frozen=True, kw_only=True):
    """What lies behind the proxy; from the user's own configuration and host, never from a manifest.

    `ca`: PEM files to trust beside the host's store. `hosts`: name and `ADDR:PORT` where the proxy dials.
    `proxy`: the host's own upstream proxy, a URL, which then decides the address.
    """

    ca: tuple[str, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    proxy: str | None = None


class BottleSpec(Struct, frozen=True, kw_only=True):
    """What is asked for. `words` stand after `--`; `folder` is that of the manifest, `file`: paths are relative to it.

    `sections` are typed: one for each selected plugin, by the plugin's name. `backend_traits` is None where the
    backend or another plugin could not be had, so that nothing will start. Paths of `ssh` are absolute.
    `cwd` is the folder in which the command was called. `asks` says whether a question comes before the launch.
    `dry` is a dry run, at which no engine is asked: `validate` leaves out what only a machine can answer.
    """

    agent: str
    slug: str
    bottle: str
    agent_plugin: str
    backend: Choice
    proxy: Choice
    egress: Egress
    folder: Path
    backend_traits: BackendTraits | None = None
    runtime: str | None = None
    env: tuple[tuple[str, EnvEntry], ...] = ()
    ssh: tuple[Ssh, ...] = ()
    skills: tuple[str, ...] = ()
    workspace: Workspace | None = None
    prompt: str = ""
    words: tuple[str, ...] = ()
    upstream: Upstream = Upstream()
    sections: tuple[tuple[str, Struct], ...] = ()
    cwd: Path | None = None
    file: Path | None = None
    asks: bool = True
    dry: bool = False

    def section(self, type_: type[S]) -> S:
        """Return the section of the plugin that declared this type."""
        return find_section(self.sections, type_)


class Draft(Struct, frozen=True, kw_only=True):
    """The plan so far: the parts of the plugins that came before, by name, and the rules now wanted."""

    parts: tuple[tuple[str, Part[Struct]], ...] = ()
    wanted: tuple[HostRule, ...] = ()

    def part(self, name: str) -> Part[Struct] | None:
        """Return the answer of a plugin that came before, None if there is none."""
        return dict(self.parts).get(name)


def check_memory(given: int, spec: BottleSpec, draft: Draft, section: str) -> None:
    """ProblemsError if a bottle would have less memory (bytes) than its agent needs; a backend calls this.

    `section` is the backend's own, in which `memory` stands.
    """
    agent = draft.part(spec.agent_plugin)
    if agent is not None and given < agent.memory:
        needed, has = agent.memory >> 20, given >> 20
        problem = Problem(
            f"{spec.agent_plugin} does not work with less than {needed}m of memory, and the bottle has {has}m",
            f"write memory: {needed}m there, or more",
            f"bottles.{spec.bottle}.{section}.memory",
        )
        raise ProblemsError([problem])


def find_section(sections: tuple[tuple[str, Struct], ...], type_: type[S]) -> S:
    """Return the one section of exactly this type."""
    for _name, section in sections:
        if type(section) is type_:
            return section
    raise LookupError(f"no selected plugin has a section of type {type_.__name__}")
