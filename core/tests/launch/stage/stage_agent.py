"""The stage's agent plugin: a shell that says what it was given."""

import os
from collections.abc import Sequence

from stage_world import step

from claude_bottle.declare import NoSection, agent
from claude_bottle.errors import LaunchError, Problem
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.event import Event
from claude_bottle.seam.levels import HostWish
from claude_bottle.seam.part import Part

__all__ = ["PLUGIN"]

SCRIPT = 'echo "agent runs with $#:" "$@"'


class StageAgent:
    """Runs a line of shell."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> list[Problem]:
        """Return the problems that the environment asks for."""
        del spec
        return [
            Problem(f"problem {number} of the agent") for number in range(int(os.environ.get("STAGE_PROBLEMS", "0")))
        ]

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[NoSection]:
        """Return the program, its host, and the variable that it logs in with."""
        del draft
        return Part(
            section=spec.section(NoSection),
            argv=("/bin/sh", "-c", SCRIPT, "agent"),
            prompt_option=("--prompt-file",),
            hosts=(HostWish(host="agent.example", level="opaque", why="the agent"),),
            env=(("STAGE_AGENT", "yes"),),
            forward=("STAGE_TOKEN",),
        )

    @hookimpl
    def provision_prompt(self, bottle: Bottle, plan: Plan) -> str | None:
        """Pretend to write the prompt."""
        del bottle
        step("provision_prompt")
        return "/prompt.md" if plan.prompt else None

    @hookimpl
    def explain(self, bottle: Bottle, plan: Plan, code: int, events: Sequence[Event]) -> list[Problem]:
        """Return the cause that the environment asks for."""
        del bottle, plan
        cause = os.environ.get("STAGE_CAUSE")
        if cause == "none can be told":
            raise LaunchError("the bottle is gone")
        return [Problem(f"{code} after {len(events)} events: {cause}", "a cure")] if cause else []


PLUGIN = agent(StageAgent(), section=NoSection)
