"""Which release of an agent's program a launch puts in: the plugin's own, or the one that the user updated to."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from claude_bottle.errors import LaunchError, Problem, ProblemsError
from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.part import Package, Part, Program
from claude_bottle.seam.prefix import QUERY, find_prefix, npm, prefix_problems
from claude_bottle.seam.store import Store

__all__ = ["Update", "find_update", "keep_update", "settle_programs", "updated"]


class Update(Struct, frozen=True, kw_only=True):
    """A newer release than the one that was in use, in place of the one that its plugin had at that time.

    A later plugin's own one counts again.
    """

    instead_of: str
    using: str
    program: Program


class Updates(Struct, frozen=True):
    """The user's updates, by the program's name."""

    programs: Mapping[str, Update] = {}


def settle_programs(part: Part[Struct], backend: Loaded, state_dir: Path) -> Part[Struct]:
    """Return an agent's part with the programs that will be put in, and a line of the preflight for each.

    ProblemsError where this machine cannot have one of them.
    """
    programs = tuple(updated(program, state_dir) for program in part.programs)
    traits = backend.plugin.backend_traits
    own_tree = traits is not None and traits.runs == "process"
    if problems := prefix_problems(programs) if own_tree else _image_problems(programs, backend.name):
        raise ProblemsError(problems)
    lines = tuple(("program", _line(program, own_tree=own_tree)) for program in programs)
    return replace(part, programs=programs, lines=(*part.lines, *lines))


def _image_problems(programs: tuple[Program, ...], backend: str) -> list[Problem]:
    hint = "remove the line, so that the image has a program of its own"
    return [
        Problem(f"backend {backend} makes its bottles of images, which have no program of this machine", hint)
        for program in programs
        if program.host
    ]


def _line(program: Program, *, own_tree: bool) -> str:
    if program.host:
        return f"{program.name}, this machine's own: {program.host}"
    pinned = all(package.integrity for package in program.packages)
    held_to = "its pinned sha512" if pinned else "what the registry says"
    state = ""
    if own_tree:
        state = ", installed" if find_prefix(program) else ", to be fetched once"
    return f"{program.name} {program.version} from npm, checked against {held_to}{state}"


def updated(program: Program, state_dir: Path) -> Program:
    """Return the release that the user updated this one to, or the same; a version that a manifest names stays."""
    update = _store(state_dir).read().programs.get(program.name)
    return update.program if update and not program.fixed and update.instead_of == program.version else program


def keep_update(update: Update, state_dir: Path) -> None:
    """Note an update for all launches from now on."""
    name = update.program.name
    _store(state_dir).change(lambda old: Updates({**old.programs, name: update}))


def find_update(program: Program, state_dir: Path) -> Update | None:
    """Ask the registry for the newest release; None where the one in use is it. LaunchError without an answer."""
    using = updated(program, state_dir)
    with tempfile.TemporaryDirectory(prefix="bottle-") as folder:
        newest = _view(program.source, "version", Path(folder))
        if newest == using.version:
            return None
        packages = tuple(_newest(package, program.version, newest, Path(folder)) for package in program.packages)
    newer = replace(program, version=newest, packages=packages, size=0)
    return Update(instead_of=program.version, using=using.version, program=newer)


def _newest(package: Package, old: str, new: str, folder: Path) -> Package:
    version = package.version.replace(old, new)  # it may have more to it: the machine, say
    integrity = _view(f"{package.name}@{version}", "dist.integrity", folder)
    if not integrity.startswith("sha512-"):
        raise LaunchError(f"the registry says no sha512 of {package.name}@{version}")
    return replace(package, version=version, integrity=integrity)


def _view(what: str, field: str, folder: Path) -> str:
    answer = npm("view", what, field, cwd=folder, timeout=QUERY).strip()
    if not answer or len(answer.splitlines()) != 1:
        raise LaunchError(f"the registry has no {field} of {what}")
    return answer


def _store(state_dir: Path) -> Store[Updates]:
    return Store(state_dir / "programs.json", Updates())
