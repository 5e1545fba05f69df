"""The stage's provisioner: takes part in every step, and does nothing but say so."""

from stage_world import step

from claude_bottle.declare import NoSection, provisioner
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.part import Part

__all__ = ["PLUGIN"]


class StageProps:
    """Every hook of a provisioner."""

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[NoSection]:
        """Need nothing."""
        del draft
        return Part(section=spec.section(NoSection), lines=(("props", "some"),))

    @hookimpl
    def provision_ca(self, bottle: Bottle, plan: Plan, ca: bytes) -> bool:
        """Say that the CA is trusted."""
        del bottle, plan, ca
        step("provision_ca")
        return True

    @hookimpl
    def provision_skills(self, bottle: Bottle, plan: Plan) -> None:
        """Say so."""
        step("provision_skills")

    @hookimpl
    def provision_ssh(self, bottle: Bottle, plan: Plan) -> None:
        """Say so."""
        step("provision_ssh")

    @hookimpl
    def provision_git(self, bottle: Bottle, plan: Plan) -> None:
        """Say so."""
        step("provision_git")

    @hookimpl
    def provision(self, bottle: Bottle, plan: Plan) -> None:
        """Say so."""
        step("provision")

    @hookimpl
    def collect(self, bottle: Bottle, plan: Plan) -> list[str]:
        """Say what came out."""
        step("collect")
        return ["one branch came out"]


PLUGIN = provisioner(StageProps(), section=NoSection)
