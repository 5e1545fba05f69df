"""The manifest's section `claude:`."""

import re
from typing import Literal

from msgspec import Struct

__all__ = ["ClaudeSection", "section_problems"]

VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


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
    return problems
