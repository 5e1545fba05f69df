"""The backend `bwrap`: bottles as bubblewrap sandboxes, without a daemon."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bottle_bwrap.section import BwrapSection, bytes_of, size_problems
from claude_bottle.declare import backend
from claude_bottle.errors import LaunchError, Problem, map_exceptions
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft, check_memory
from claude_bottle.seam.part import Part
from claude_bottle.seam.probe import Finding, ProbeResult
from claude_bottle.seam.traits import BackendTraits, ProxyTraits

if TYPE_CHECKING:
    from bottle_bwrap.leftover import Leftovers
    from bottle_bwrap.site import BwrapSite
    from claude_bottle.seam.bottle import Bottle
    from claude_bottle.seam.owner import Launch
    from claude_bottle.seam.secrets import Secrets

__all__ = ["PLUGIN", "BwrapBackend"]

# ruff: noqa: PLC0415 - this module is imported to list and to plan; what runs a bottle is imported when one runs


class BwrapBackend:
    """The hooks; what each promises is in `claude_bottle.hookspecs`."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Return what this machine cannot be asked for: sizes that are none, a runtime."""
        where = f"bottles.{spec.bottle}"
        problems = [
            Problem(text, where=f"{where}.bwrap.{key}") for key, text in size_problems(spec.section(BwrapSection))
        ]
        if spec.runtime is not None:
            problems.append(
                Problem(
                    "bwrap has no OCI runtimes",
                    "choose a container backend, or remove the line",
                    f"{where}.runtime",
                )
            )
        return problems

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[BwrapSection]:
        """Return the section, the name that will be claimed, and which limits hold here."""
        from bottle_bwrap.limits import find_limits

        section = spec.section(BwrapSection)
        check_memory(bytes_of(section.memory), spec, draft, "bwrap")
        limits = find_limits(section, dropped=os.getuid() == 0)
        return Part(
            section=section,
            resources=(f"claude-bottle-{spec.slug}",),
            lines=(("limits", limits.line(section, bound=any(part.mounts for _, part in draft.parts))),),
        )

    @hookimpl
    def probe(self) -> ProbeResult:
        """Run bubblewrap once, with `true` in it."""
        from bottle_bwrap.probe import probe

        return probe()

    @hookimpl
    def probe_pair(self, partner: BackendTraits | ProxyTraits) -> "Sequence[Finding]":
        """For a proxy that can only listen at an address, look for what makes it a network of its own."""
        from bottle_bwrap.apart import examine

        return examine() if isinstance(partner, ProxyTraits) and "fd" not in partner.listen else ()

    @hookimpl
    def open_site(self, plan: Plan, launch: "Launch", say: Callable[[str], None]) -> "BwrapSite":
        """Claim a name, a folder and uids."""
        from bottle_bwrap.site import Wants, open_site

        with map_exceptions({OSError: LaunchError}, "run `bottle doctor`"):
            return open_site(plan.slug, plan.bottle, launch, Wants(plan.programs, say, plan.mounts))

    @hookimpl
    def start_bottle(self, plan: Plan, site: "BwrapSite", env: Mapping[str, str], secrets: "Secrets") -> "Bottle":
        """Start the sandbox; the environment goes into the memory of its PID 1 and nowhere else."""
        with map_exceptions({OSError: LaunchError}, "run `bottle doctor`"):
            return site.start(plan.section(BwrapSection), {**env, **secrets})

    @hookimpl
    def provision_ca(self, bottle: "Bottle", plan: Plan, ca: bytes) -> bool:
        """Fill the bundle that is bound into the sandbox."""
        from bottle_bwrap.bottle import BwrapBottle

        del plan
        if not isinstance(bottle, BwrapBottle) or bottle.trust is None:
            return False
        bottle.trust.fill(ca)
        return True

    @hookimpl
    def list_bottles(self) -> "Sequence[Bottle]":
        """Return the bottles of this user, by their folders."""
        from bottle_bwrap.leftover import find_bottles

        return find_bottles()

    @hookimpl
    def plan_cleanup(self) -> "Leftovers":
        """Return the folders of dead launches, with what belongs to them."""
        from bottle_bwrap.leftover import find_leftovers

        return find_leftovers()

    @hookimpl
    def cleanup(self, plan: "Leftovers") -> None:
        """Remove them."""
        from bottle_bwrap.leftover import remove_leftovers

        remove_leftovers(plan)


PLUGIN = backend(
    BwrapBackend(),
    section=BwrapSection,
    traits=BackendTraits(runs="process", listen=frozenset({"fd", "tcp"}), unix=True, bind=True),
)
