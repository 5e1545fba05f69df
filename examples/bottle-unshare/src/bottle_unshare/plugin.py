"""The backend `unshare`: a bottle is a set of namespaces, made with nothing but system calls.

What each hook promises is in `claude_bottle.hookspecs`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from claude_bottle.declare import backend
from claude_bottle.errors import LaunchError, Problem, map_exceptions
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.part import Part
from claude_bottle.seam.probe import Finding, ProbeResult
from claude_bottle.seam.traits import BackendTraits

from bottle_unshare.section import UnshareSection

if TYPE_CHECKING:
    from claude_bottle.seam.bottle import Bottle
    from claude_bottle.seam.owner import Launch
    from claude_bottle.seam.secrets import Secrets

    from bottle_unshare.bottle import UnshareBottle
    from bottle_unshare.record import Leftovers
    from bottle_unshare.site import UnshareSite

__all__ = ["PLUGIN"]

# ruff: noqa: PLC0415 - this module is imported to list and to plan; what runs a bottle is imported when one runs

TRIAL = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "true")


class UnshareBackend:
    """The hooks of a backend."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Return what this backend cannot do: room for nothing, a runtime."""
        problems: list[Problem] = []
        if spec.section(UnshareSection).files < 1:
            problems.append(Problem("a bottle needs room for files", where=f"bottles.{spec.bottle}.unshare.files"))
        if spec.runtime is not None:
            where = f"bottles.{spec.bottle}.runtime"
            problems.append(Problem("this backend has no runtimes", "remove the line", where))
        return problems

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[UnshareSection]:
        """Return the section, the name of what will be made, and what it does not hold."""
        return Part(
            section=spec.section(UnshareSection),
            resources=(f"claude-bottle-{spec.slug}",),
            lines=(("limits", "files alone; a bottle may take all processors, and as many processes as it likes"),),
        )

    @hookimpl
    def probe(self) -> ProbeResult:
        """Make namespaces once, with `true` in them."""
        import subprocess

        from bottle_unshare.site import spare_uids

        uid, _ = spare_uids("0000000")
        try:
            done = subprocess.run(TRIAL, user=uid, group=uid, cwd="/", capture_output=True, timeout=5, check=False)
        except FileNotFoundError:
            finding = Finding(what="unshare", ok=False, detail="not found", cure="install util-linux")
            return ProbeResult(state="absent", findings=(finding,))
        ok, said = done.returncode == 0, done.stderr.decode("utf-8", "replace").strip()
        cure = None if ok else "allow user namespaces: `sysctl -w user.max_user_namespaces=15000`, as root"
        finding = Finding(what="user namespaces", ok=ok, detail=said, cure=cure)
        return ProbeResult(state="ready" if ok else "broken", findings=(finding,))

    @hookimpl
    def open_site(self, plan: Plan, launch: "Launch", say: Callable[[str], None]) -> "UnshareSite":
        """Claim a name and a folder."""
        from bottle_unshare.site import UnshareSite

        with map_exceptions({OSError: LaunchError}, "run `bottle doctor`"):
            return UnshareSite(plan.slug, launch)

    @hookimpl
    def start_bottle(
        self, plan: Plan, site: "UnshareSite", env: Mapping[str, str], secrets: "Secrets"
    ) -> "UnshareBottle":
        """Start the bottle, whose only way out is `site.listen`."""
        with map_exceptions({OSError: LaunchError}, "run `bottle doctor`"):
            return site.start(plan.section(UnshareSection), {**env, **secrets})

    @hookimpl
    def provision_ca(self, bottle: "Bottle", plan: Plan, ca: bytes) -> bool:
        """Add the CA to what this machine trusts, in the bundle inside."""
        from claude_bottle.seam.trust import read_bundle

        from bottle_unshare.bottle import UnshareBottle

        if not isinstance(bottle, UnshareBottle):
            return False
        bottle.trust(read_bundle(()) + ca)
        return True

    @hookimpl
    def list_bottles(self) -> "Sequence[Bottle]":
        """Return a handle for each bottle of this user, whoever started it."""
        from bottle_unshare.bottle import UnshareBottle
        from bottle_unshare.record import records

        return [UnshareBottle(record) for record in records() if record.runs() and record.launch.owner.alive()]

    @hookimpl
    def plan_cleanup(self) -> "Leftovers":
        """Return what crashed launches left."""
        from bottle_unshare.record import find_leftovers

        return find_leftovers()

    @hookimpl
    def cleanup(self, plan: "Leftovers") -> None:
        """Remove it, as far as it is still dead."""
        for record in plan.found:
            if record.launch.owner.alive() is False:
                record.sweep()


PLUGIN = backend(
    UnshareBackend(),
    section=UnshareSection,
    traits=BackendTraits(runs="process", listen=frozenset({"fd"})),
    api=1,
)
