"""The provisioner `ssh`: hosts that the agent may log in to, with keys that stay outside."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from claude_bottle.declare import NoSection, provisioner
from claude_bottle.errors import Problem
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.part import Part

if TYPE_CHECKING:
    from claude_bottle.seam.bottle import Bottle
    from claude_bottle.seam.event import Event
    from claude_bottle.seam.secrets import Secrets

__all__ = ["PLUGIN", "SshProvisioner"]

# ruff: noqa: PLC0415 - this module is imported to list and to plan; what holds keys is imported when there are some


class SshProvisioner:
    """The hooks; what each promises is in `claude_bottle.hookspecs`."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Return what stands in the way: keys, host keys, programs, a backend that carries no socket."""
        if not spec.ssh:
            return ()
        from bottle_ssh.check import problems

        return problems(spec)

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[NoSection]:
        """Return which key goes where and who holds it, and the passphrases that will be asked for."""
        del draft
        if not spec.ssh:
            return Part(section=NoSection())
        from bottle_ssh.check import is_inside, lines, questions

        shown = lines(spec.ssh, inside=is_inside(spec))
        return Part(section=NoSection(), questions=tuple(questions(spec.ssh)), lines=tuple(shown))

    @hookimpl
    def provision_ssh(
        self, bottle: "Bottle", plan: Plan, answers: "Secrets", report: "Callable[[Event], None]"
    ) -> None:
        """Start an agent for this bottle, let its ssh use it, and tell it the hosts."""
        if not plan.ssh:
            return
        from bottle_ssh.provision import provision

        provision(bottle, plan.ssh, answers, report)


PLUGIN = provisioner(SshProvisioner(), section=NoSection)
