"""The agent plugin `shell`: a login shell in the bottle, for looking around and for commands of one's own."""

from typing import TYPE_CHECKING

from claude_bottle.declare import NoSection, agent
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.part import Part

if TYPE_CHECKING:  # a plan needs none of it
    from claude_bottle.seam.bottle import Bottle

__all__ = ["PLUGIN"]

SHELL = ("/bin/sh", "-c", "command -v bash >/dev/null && exec bash -l || exec sh -l")
"""bash where the bottle has it; it has no name, prompt or rules of the host's user."""


class Shell:
    """Needs no host, no variable and no file."""

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[NoSection]:
        """Return the shell as the program."""
        del draft
        return Part(section=spec.section(NoSection), argv=SHELL)

    @hookimpl
    def provision_prompt(self, bottle: "Bottle", plan: Plan) -> str | None:
        """Write the prompt's file, which a shell does not read but a program started in it may."""
        from bottle_claude.prompt import write_prompt  # noqa: PLC0415 - a plan needs none of it

        return write_prompt(bottle, plan)


PLUGIN = agent(Shell(), section=NoSection)
