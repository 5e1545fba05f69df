"""An agent plugin of the first generation, with every hook of its kind."""

from collections.abc import Sequence

from frozen_world import called
from msgspec import Struct

from claude_bottle.declare import agent
from claude_bottle.errors import Problem
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.levels import HostWish
from claude_bottle.seam.part import Part
from claude_bottle.seam.tree import FileEntry

__all__ = ["PLUGIN"]


class FrozenHandSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the agent says."""

    word: str = "frozen"


class FrozenHand:
    """Says a word."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Refuse to say nothing."""
        if not spec.section(FrozenHandSection).word:
            return [Problem("there is no word", hint="write one", where=f"bottles.{spec.bottle}.frozenhand.word")]
        return []

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[FrozenHandSection]:
        """Return the program, its host and its variables."""
        section = spec.section(FrozenHandSection)
        return Part(
            section=section,
            hosts=(HostWish(host="frozen.example", level="opaque", why=f"after {len(draft.parts)} others"),),
            argv=("/bin/echo", section.word),
            env=(("FROZEN_LITERAL", "literal"),),
            forward=("FROZEN_TOKEN",),
            prompt_option=("--prompt-file",),
            install=("true",),
            lines=(("frozen agent", section.word),),
        )

    @hookimpl
    def provision_prompt(self, bottle: Bottle, plan: Plan) -> str | None:
        """Write the prompt's file."""
        called("provision_prompt")
        bottle.put([FileEntry("prompt.md", plan.prompt.encode())], "/frozen")
        return "/frozen/prompt.md" if plan.prompt else None

    @hookimpl
    def provision(self, bottle: Bottle, plan: Plan) -> None:
        """Look whether the bottle is that of the plan."""
        called("provision agent")
        assert (bottle.slug, bottle.state) == (plan.slug, "running")
        assert plan.section(FrozenHandSection).word


PLUGIN = agent(FrozenHand(), section=FrozenHandSection, api=1)
