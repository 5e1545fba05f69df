"""Everything that a launch will do: resolved, frozen, printable, without the value of any secret."""

from collections.abc import Sequence
from typing import TypeVar

from msgspec import Struct

from claude_bottle.manifest.types import Ssh, Workspace
from claude_bottle.plan.environment import EnvNames
from claude_bottle.plan.spec import BottleSpec, Choice, Draft, Upstream, find_section
from claude_bottle.seam.levels import DlpAction, HostRule
from claude_bottle.seam.part import Injection, Mount, Part, Program

__all__ = ["EgressPlan", "Plan", "assemble_plan"]

S = TypeVar("S", bound=Struct)


class EgressPlan(Struct, frozen=True, kw_only=True):
    """The way out. `rules` are sorted by host, one each; `private_addresses` are CIDRs that names may resolve to."""

    rules: tuple[HostRule, ...]
    dlp_action: DlpAction
    private_addresses: tuple[str, ...] = ()
    upstream: Upstream = Upstream()


class Plan(Struct, frozen=True, kw_only=True):
    """A launch as it will be. `literals` are name and value; `forwarded` are names alone.

    `agents_own` are those names of `literals` that the agent plugin sets and the manifest does not.

    `injected` are the credentials of which the agent holds a placeholder; no name is in two of the three.
    `sources` are the name of each secret and where its value comes from, in words.

    `argv` is what is run: the agent, or the command that stands in its place; `prompt_option` and the path
    of the prompt's file follow it where there is a prompt for the agent. `words` are those after `--`.
    `install` and `programs` are what the agent needs put in, see `seam.part.Part`, as are `mounts`, which are made in
    their order. `folder` is the manifest's. `lines` are label and text.
    `cwd` is the folder on the host whose repository is the workspace, where there is a workspace.
    """

    agent: str
    bottle: str
    slug: str
    agent_plugin: str
    backend: Choice
    proxy: Choice
    egress: EgressPlan
    argv: tuple[str, ...]
    prompt_option: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    programs: tuple[Program, ...] = ()
    words: tuple[str, ...] = ()
    runtime: str | None = None
    literals: tuple[tuple[str, str], ...] = ()
    agents_own: tuple[str, ...] = ()
    forwarded: tuple[str, ...] = ()
    injected: tuple[Injection, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()
    skills: tuple[str, ...] = ()
    ssh: tuple[Ssh, ...] = ()
    workspace: Workspace | None = None
    cwd: str = ""
    mounts: tuple[Mount, ...] = ()
    prompt: str = ""
    folder: str = ""
    resources: tuple[str, ...] = ()
    sections: tuple[tuple[str, Struct], ...] = ()
    lines: tuple[tuple[str, str], ...] = ()

    def command(self, prompt: str | None) -> tuple[str, ...]:
        """Return what is run, given the path of the prompt's file or None."""
        return (*self.argv, *self.prompt_option, prompt) if prompt and self.prompt_option else self.argv

    def section(self, type_: type[S]) -> S:
        """Return the resolved section of the plugin that declared this type."""
        return find_section(self.sections, type_)


def assemble_plan(
    spec: BottleSpec,
    draft: Draft,
    rules: Sequence[HostRule],
    names: EnvNames,
    notes: Sequence[tuple[str, str]] = (),
) -> Plan:
    """Return the plan; `rules` are the proxy's own answer, what it will really do; `notes` are core's own lines."""
    parts = [part for _, part in draft.parts]
    argv, prompt_option = _command(spec, parts)
    return Plan(
        agent=spec.agent,
        bottle=spec.bottle,
        slug=spec.slug,
        agent_plugin=spec.agent_plugin,
        backend=spec.backend,
        proxy=spec.proxy,
        egress=EgressPlan(
            rules=tuple(sorted(rules, key=lambda rule: rule.host)),
            dlp_action=spec.egress.dlp_action,
            private_addresses=spec.egress.private_addresses,
            upstream=spec.upstream,
        ),
        argv=argv,
        prompt_option=prompt_option,
        install=tuple(command for part in parts for command in part.install),
        programs=tuple(program for part in parts for program in part.programs),
        words=spec.words,
        runtime=spec.runtime,
        literals=names.literals,
        agents_own=tuple(name for part in parts for name, _ in part.env if name not in dict(spec.env)),
        forwarded=names.forwarded,
        injected=names.injected,
        sources=names.sources,
        skills=spec.skills,
        ssh=spec.ssh,
        workspace=spec.workspace,
        cwd=str(spec.cwd) if spec.workspace and spec.cwd else "",
        mounts=tuple(mount for part in parts for mount in part.mounts),
        prompt=spec.prompt,
        folder=str(spec.folder),
        resources=tuple(name for part in parts for name in part.resources),
        sections=tuple((name, part.section) for name, part in draft.parts),
        lines=(*notes, *(line for part in parts for line in part.lines)),
    )


def _command(spec: BottleSpec, parts: Sequence[Part[Struct]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words that begin with `-` are the agent's own arguments, else they are a command in its place."""
    agent = next((part for part in parts if part.argv), None)
    if spec.words and not spec.words[0].startswith("-"):
        return spec.words, ()
    return (agent.argv + spec.words, agent.prompt_option) if agent else ((), ())
