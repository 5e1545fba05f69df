"""The provisioner `workspace`: the repository of the folder in which the launch is called, at `/workspace`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from claude_bottle.declare import NoSection, provisioner
from claude_bottle.errors import BottleError, Problem
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.part import Mount, Part

if TYPE_CHECKING:
    from bottle_git.bind import Bound
    from bottle_git.held import Leftovers
    from claude_bottle.seam.bottle import Bottle

__all__ = ["PLUGIN", "Workspace"]

# ruff: noqa: PLC0415 - this module is imported to list and to plan; what moves files is imported when some are moved


class Workspace:
    """The hooks; what each promises is in `claude_bottle.hookspecs`."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Return why this folder cannot come in."""
        from bottle_git.config import object_form
        from bottle_git.folder import guarded, measure
        from bottle_git.source import find_repository

        if spec.workspace is None or spec.cwd is None:
            return []
        try:
            if spec.workspace.mode == "bind":
                where = f"bottles.{spec.bottle}.workspace.mode"
                return [replace(problem, where=where) for problem in _bound(spec).problems]
            found = find_repository(spec.cwd)
            if found is not None:
                object_form(found)
        except BottleError as error:
            return [Problem(error.message, error.hint)]
        if why := guarded(found.tree if found else spec.cwd):
            return [Problem(f"a workspace cannot be {found.tree if found else spec.cwd}: {why}", "cd to a project")]
        if found is None and not spec.asks and (size := measure(spec.cwd)).large:
            hint = "git init it, or start at a terminal and without --yes, where you are asked"
            return [Problem(f"{spec.cwd} is no repository, and has {size} to copy", hint)]
        return []

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[NoSection]:
        """Say what comes in."""
        del draft
        section = spec.section(NoSection)
        if spec.workspace is None or spec.cwd is None:
            return Part(section=section)
        if spec.workspace.mode == "copy":
            return Part(section=section, lines=tuple(_lines(spec.cwd)))
        mounts = _bound(spec).mounts
        return Part(section=section, mounts=mounts, lines=(("workspace", _bound_line(spec.cwd, mounts)),))

    @hookimpl
    def provision_git(self, bottle: "Bottle", plan: Plan) -> None:
        """Bring it in; where it is bound it is there, and is looked at before the agent is let in."""
        if _is_bound(plan):
            from bottle_git.aftermath import note
            from bottle_git.enter import introduce

            introduce(bottle, Path(plan.cwd))
            note(bottle, Path(plan.cwd))
        elif plan.workspace and plan.cwd:
            from bottle_git.enter import bring_in

            bring_in(bottle, Path(plan.cwd))

    @hookimpl
    def collect(self, bottle: "Bottle", plan: Plan) -> Sequence[str]:
        """Bring out what was done: commits as a branch, the rest as one more commit on a branch of its own."""
        if _is_bound(plan):
            from bottle_git.aftermath import tell

            return tell(bottle, Path(plan.cwd), plan.mounts)
        from bottle_git.leave import bring_out

        return bring_out(bottle, Path(plan.cwd)) if plan.workspace and plan.cwd else ()

    @hookimpl
    def compare(self, bottle: "Bottle", plan: Plan) -> bytes:
        """Show both."""
        if _is_bound(plan):
            return b"The workspace is bound: what was done is in it already, and git shows it.\n"
        from bottle_git.leave import show

        return show(bottle, Path(plan.cwd)) if plan.workspace and plan.cwd else b""

    @hookimpl
    def plan_cleanup(self) -> "Leftovers":
        """Return the repositories of our own that a crash left."""
        from bottle_git.held import find_leftovers

        return find_leftovers()

    @hookimpl
    def cleanup(self, plan: "Leftovers") -> None:
        """Remove them."""
        from bottle_git.held import remove_leftovers

        remove_leftovers(plan)


def _is_bound(plan: Plan) -> bool:
    return plan.workspace is not None and plan.workspace.mode == "bind" and bool(plan.cwd)


def _bound(spec: BottleSpec) -> "Bound":
    from bottle_git.bind import bind_folder

    return bind_folder(spec.cwd or Path(), spec.file)


def _bound_line(folder: Path, mounts: Sequence[Mount]) -> str:
    """Say what is bound, and what of it is protected."""
    root = f"{folder.resolve()}/"
    names = [it.source.removeprefix(root) for it in mounts if not (it.write or it.make)]
    empty = [it.source.removeprefix(root) for it in mounts if it.make]
    kinds = (("read-only", names), ("kept from being made", empty))
    return "; ".join([f"{folder}, the folder itself", *(f"{kind}: {', '.join(it)}" for kind, it in kinds if it)])


def _lines(folder: Path) -> Iterator[tuple[str, str]]:
    from bottle_git.folder import measure
    from bottle_git.refs import read_head, read_refs
    from bottle_git.source import find_repository

    try:
        found = find_repository(folder)
        if found is None:
            yield "workspace", f"copy of {folder} (no repository: {measure(folder)})"
            return
        head, borrowed = read_head(found, read_refs(found)), found.borrowed
    except BottleError:  # a problem of step 1, which says more
        yield "workspace", f"copy of {folder}"
        return
    at = head.branch.removeprefix("refs/heads/") if head.branch else (head.commit or "")[:12]
    yield "workspace", f"copy of {found.tree} at {at}"
    if borrowed:
        yield "workspace borrows", f"what its branches name of {', '.join(borrowed)}"


PLUGIN = provisioner(Workspace(), section=NoSection)
