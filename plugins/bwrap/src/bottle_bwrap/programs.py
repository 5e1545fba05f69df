"""The agent's programs as a sandbox sees them: folders or files of this machine, read-only, and links on its PATH."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from claude_bottle.errors import UnavailableError
from claude_bottle.seam.environ import BIN, PLACE
from claude_bottle.seam.part import Program
from claude_bottle.seam.prefix import ensure, find_package

__all__ = ["Installed", "install"]


class Installed(NamedTuple):
    """What is bound in from `source` at `place`, and its commands: each a target and the link to it."""

    source: Path
    place: str
    commands: tuple[tuple[str, str], ...]


def install(program: Program, say: Callable[[str], None]) -> Installed:
    """Return a program that is there: this machine's own, or one that is fetched where it is not here yet."""
    place = f"{PLACE}/{program.name}"
    if program.host:
        source = Path(program.host).resolve()
        if os.getuid() == 0 and not all(path.stat().st_mode & 0o001 for path in (source, *source.parents)):
            raise UnavailableError(
                f"{source} is not for every uid, and root's bottles run as one of their own",
                f"install {program.name} below /usr/local, or remove `install: host`",
            )
        return Installed(source, place, ((place, f"{BIN}/{program.name}"),))
    package = find_package(program)
    commands = package.commands if package is not None else ()
    links = tuple((f"{place}/{file}", f"{BIN}/{command}") for command, file in commands)
    return Installed(ensure(program, say), place, links)
