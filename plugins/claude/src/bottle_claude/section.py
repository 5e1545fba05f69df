"""The manifest's section `claude:`."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from claude_bottle.errors import LaunchError

__all__ = ["ClaudeSection", "host_files", "read_file", "resolved", "section_problems"]

VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)

MOST = 1 << 20
"""Bytes of one file that is handed over."""


class ClaudeSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Claude Code in this bottle.

    `version`: another release than the one that was tested with this plugin. `install`: from npm, or the program
    that this machine has. `permissions`: `skip` asks for none, since the bottle confines; `ask` leaves Claude Code's
    own questions. `login`: `inside` opens the hosts at which one logs in. `state`: `keep` keeps `~/.claude` of the
    bottle, without credentials, for the next launch of the same agent. `subagents`: names below the host's
    `~/.claude/agents`. `memory`: a file of the host that becomes `~/.claude/CLAUDE.md`.
    """

    version: str | None = None
    install: Literal["npm", "host"] = "npm"
    permissions: Literal["skip", "ask"] = "skip"
    login: Literal["outside", "inside"] = "outside"
    state: Literal["discard", "keep"] = "discard"
    subagents: tuple[str, ...] = ()
    memory: str | None = None


def host_files(section: ClaudeSection) -> Iterator[tuple[Path, str]]:
    """Yield each file of the host that a section names, and its name below `~/.claude` inside."""
    for name in section.subagents:
        yield Path.home() / ".claude" / "agents" / f"{name}.md", f"agents/{name}.md"
    if section.memory is not None:
        yield Path(section.memory).expanduser(), "CLAUDE.md"


def resolved(section: ClaudeSection, folder: Path) -> ClaudeSection:
    """Return a section whose paths are absolute: those of a manifest are below `~`, or relative to its folder."""
    if section.memory is None:
        return section
    return replace(section, memory=str(folder / Path(section.memory).expanduser()))


def section_problems(section: ClaudeSection) -> list[tuple[str, str]]:
    """Return key and message for everything in a section that cannot be used."""
    problems: list[tuple[str, str]] = []
    if section.version is not None and not VERSION.fullmatch(section.version):
        problems.append(("version", f"{section.version!r} is not a version like 2.1.332"))
    if section.version is not None and section.install == "host":
        problems.append(("version", "with `install: host` the version is the one that this machine has"))
    problems += [
        ("subagents", f"{name!r} is not a name of letters, digits, dots, dashes and underscores")
        for name in section.subagents
        if not NAME.fullmatch(name)
    ]
    return problems or list(_file_problems(section))


def read_file(path: Path) -> bytes:
    """Return what is in a file that is handed over; LaunchError if it is too large, or no file: no pipe is awaited."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise LaunchError(f"{path} is no file")
            data = file.read(MOST + 1)
    except OSError as error:
        raise LaunchError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MOST:
        raise LaunchError(f"{path} has more than {MOST >> 20} MiB, and all of it would be in every request")
    return data


def _file_problems(section: ClaudeSection) -> Iterator[tuple[str, str]]:
    for path, name in host_files(section):
        try:
            read_file(path)
        except LaunchError as error:
            yield "memory" if name == "CLAUDE.md" else "subagents", error.message
