"""The provisioner `skills`: `$HOME/.claude/skills/NAME` of this machine at the same place of the agent's home."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from claude_bottle.declare import NoSection, provisioner
from claude_bottle.errors import Problem
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.part import Part

if TYPE_CHECKING:  # a plan needs none of it
    from claude_bottle.seam.bottle import Bottle

__all__ = ["PLUGIN"]


class Skills:
    """Needs no host; takes no setting: the key is the agent's own list of names."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Return a problem for each skill that is missing, leaves its folder or cannot be read in full."""
        from bottle_skills.folder import find_faults  # noqa: PLC0415 - a plugin that is only listed reads no folder

        return [
            Problem(fault.what, fault.cure, f"agents.{spec.agent}.skills.{number}")
            for number, name in enumerate(spec.skills)
            for fault in find_faults(host_folder(), name)
        ]

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[NoSection]:
        """Return nothing of its own: the plan has the names."""
        del draft
        return Part(section=spec.section(NoSection))

    @hookimpl
    def provision_skills(self, bottle: "Bottle", plan: Plan) -> None:
        """Put the skills in, each in the place of what has its name."""
        from bottle_skills.copy import copy_skills  # noqa: PLC0415 - a plan needs none of it

        copy_skills(host_folder(), plan.skills, bottle)


def host_folder() -> Path:
    """Return the folder of the skills of whoever runs `bottle`."""
    return Path.home() / ".claude" / "skills"


PLUGIN = provisioner(Skills(), section=NoSection)
