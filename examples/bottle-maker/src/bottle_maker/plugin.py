"""The agent plugin `maker`: no agent that thinks, but `make`, which does what the repository's Makefile says."""

from collections.abc import Sequence

from claude_bottle.declare import agent
from claude_bottle.errors import Problem
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.part import Part
from claude_bottle.seam.tree import FileEntry

from bottle_maker.section import MakerSection

__all__ = ["PLUGIN"]

HOME, PROMPT = "/home/agent", "task.md"


class MakerAgent:
    """The hooks of an agent plugin."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Return what is wrong with the options."""
        where = f"bottles.{spec.bottle}.maker"
        section = spec.section(MakerSection)
        problems: list[Problem] = []
        if section.jobs < 1:
            problems.append(Problem("at least one job must run", "write jobs: 1", f"{where}.jobs"))
        if any(target.startswith("-") for target in section.targets):
            problems.append(Problem("a target is a name, not an option", where=f"{where}.targets"))
        return problems

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[MakerSection]:
        """Return the section, the program that is run, and how it gets into an image."""
        section = spec.section(MakerSection)
        return Part(
            section=section,
            argv=("make", "--directory=/workspace", f"--jobs={section.jobs}", *section.targets),
            install=("apt-get update", "apt-get install --yes --no-install-recommends make"),
            lines=(("targets", ", ".join(section.targets)),),
        )

    @hookimpl
    def provision_prompt(self, bottle: Bottle, plan: Plan) -> str | None:
        """Write the prompt's file, always; return its path only if there is a prompt."""
        bottle.put([FileEntry(PROMPT, plan.prompt.encode())], HOME)
        return f"{HOME}/{PROMPT}" if plan.prompt else None


PLUGIN = agent(
    MakerAgent(),
    section=MakerSection,
    api=1,
)
