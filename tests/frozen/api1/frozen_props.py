"""A provisioner of the first generation, with every hook of its kind."""

from collections.abc import Sequence

from frozen_world import called

from claude_bottle.declare import NoSection, provisioner
from claude_bottle.errors import Problem
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.part import Part

__all__ = ["PLUGIN"]


class FrozenProps:
    """Takes part in every step."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem] | None:
        """Find nothing wrong."""
        return None if spec.slug else [Problem("there is no name")]

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[NoSection]:
        """Come after the agent."""
        before = " ".join(name for name, _ in draft.parts)
        return Part(section=spec.section(NoSection), lines=(("frozen props", f"after {before or 'nobody'}"),))

    @hookimpl
    def provision_ca(self, bottle: Bottle, plan: Plan, ca: bytes) -> bool:
        """Take the CA."""
        called("provision_ca props")
        return bool(ca) and bottle.slug == plan.slug

    @hookimpl
    def provision_skills(self, bottle: Bottle, plan: Plan) -> None:
        """Run a script."""
        called("provision_skills")
        result = bottle.exec("cat; exit 3", stdin=plan.slug.encode(), env={"MORE": "1"}, timeout=10)
        assert (result.returncode, result.stdout, result.stderr) == (3, plan.slug.encode(), b"")

    @hookimpl
    def provision_ssh(self, bottle: Bottle, plan: Plan) -> None:
        """Run a command."""
        called("provision_ssh")
        assert bottle.exec("", argv=["true"]).returncode == len(plan.ssh)

    @hookimpl
    def provision_git(self, bottle: Bottle, plan: Plan) -> None:
        """Look whether there is a workspace."""
        called("provision_git")
        assert plan.workspace is None or bottle.name

    @hookimpl
    def provision(self, bottle: Bottle, plan: Plan) -> None:
        """Look into the plan."""
        called("provision props")
        assert (plan.slug, plan.backend.name) == (bottle.slug, "frozen")

    @hookimpl
    def collect(self, bottle: Bottle, plan: Plan) -> Sequence[str]:
        """Bring something out."""
        called("collect")
        return [f"brought {plan.slug} out of {bottle.name}"]


PLUGIN = provisioner(FrozenProps(), section=NoSection, api=1)
