"""The agent plugin `claude`: Claude Code, asked nothing inside, with nothing of the host's but what is named."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bottle_claude.credentials import CREDENTIALS, GATEWAY, MODEL
from bottle_claude.section import ClaudeSection, host_files, resolved, section_problems
from claude_bottle.declare import agent
from claude_bottle.errors import Problem
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.levels import HostWish
from claude_bottle.seam.part import Part, Program

if TYPE_CHECKING:  # a plan needs none of it
    from claude_bottle.seam.bottle import Bottle
    from claude_bottle.seam.event import Event

__all__ = ["PLUGIN"]

# ruff: noqa: PLC0415 - this module is imported to list and to plan; what works in a bottle is imported when one runs

LOGIN = ("claude.ai", "console.anthropic.com", "platform.claude.com")
MEMORY = 512 << 20
"""Bytes: a prompt alone needs half of it, tools the rest."""

ENVIRONMENT = (
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("DISABLE_INSTALLATION_CHECKS", "1"),
)
"""No telemetry, no marketplace, no update, no look at how it was installed: the model's host alone is contacted."""


class Claude:
    """The hooks; what each promises is in `claude_bottle.hookspecs`."""

    @hookimpl
    def validate(self, spec: BottleSpec) -> Sequence[Problem]:
        """Return what the section asks for that cannot be had on this machine."""
        section, where = resolved(spec.section(ClaudeSection), spec.folder), f"bottles.{spec.bottle}.claude"
        problems = [Problem(text, where=f"{where}.{key}") for key, text in section_problems(section)]
        if section.install == "host" and host_program() is None:
            hint = "install Claude Code here, or remove the line: a bottle fetches its own"
            problems.append(Problem("this machine has no program `claude` on its PATH", hint, f"{where}.install"))
        return problems

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[ClaudeSection]:
        """Return Claude Code with its arguments, variables and hosts."""
        del draft
        section = resolved(spec.section(ClaudeSection), spec.folder)
        program = chosen_program(section)
        return Part(
            section=section,
            hosts=hosts_of(section),
            argv=(program.name, *(("--dangerously-skip-permissions",) if section.permissions == "skip" else ())),
            env=ENVIRONMENT,
            forward=(GATEWAY,),
            credentials=CREDENTIALS,
            prompt_option=("--append-system-prompt-file",),
            programs=(program,),
            memory=MEMORY,
            lines=lines_of(section, spec),
        )

    @hookimpl
    def provision_prompt(self, bottle: "Bottle", plan: Plan) -> str | None:
        """Write the prompt's file, what the manifest hands over, and the answers to all that a first start asks."""
        from bottle_claude.settings import furnish

        return furnish(bottle, plan)

    @hookimpl
    def collect(self, bottle: "Bottle", plan: Plan) -> Sequence[str]:
        """Keep Claude Code's own folder, where the manifest says so."""
        if plan.section(ClaudeSection).state != "keep":
            return ()
        from bottle_claude.prompt import HOME
        from bottle_claude.settings import CLAUDE
        from bottle_claude.state import keep_state

        return [keep_state(bottle, plan, f"{HOME}/{CLAUDE}")]

    @hookimpl
    def explain(self, bottle: "Bottle", plan: Plan, code: int, events: "Sequence[Event]") -> Sequence[Problem]:
        """Return the cause of a failure that Claude Code's own words do not tell, or tell wrongly."""
        from bottle_claude.trouble import find_causes

        return find_causes(bottle, plan, code, events)


def hosts_of(section: ClaudeSection) -> tuple[HostWish, ...]:
    """Return the model's host, to which the whole conversation goes by design, and those of a login inside."""
    wishes = [HostWish(host=MODEL, level="warn", why="claude")]
    if section.login == "inside":
        wishes += [HostWish(host=host, level="warn", why="claude login") for host in LOGIN]
    return tuple(wishes)


def lines_of(section: ClaudeSection, spec: BottleSpec) -> tuple[tuple[str, str], ...]:
    """Return what the preflight says of all that is not as it is by default."""
    lines: list[tuple[str, str]] = []
    if section.permissions == "ask":
        lines.append(("permissions", "Claude Code asks for each"))
    if section.state == "keep":
        from bottle_claude.state import state_file

        kept = state_file(spec.slug, str(spec.folder))
        lines.append(("state", f"~/.claude of the bottle is kept in {kept}, without credentials"))
    lines += [("handed over", f"{path} as ~/.claude/{name}") for path, name in host_files(section)]
    return tuple(lines)


def chosen_program(section: ClaudeSection) -> Program:
    """Return the program of the registry, or this machine's own."""
    from bottle_claude.release import NAME, program

    if section.install == "host":
        return Program(name=NAME, host=str(host_program() or NAME))
    return program(section.version)


def host_program() -> Path | None:
    """Return the native program that this machine's `claude` is, None if there is none."""
    import shutil

    found = shutil.which("claude")
    return Path(found).resolve() if found else None


PLUGIN = agent(Claude(), section=ClaudeSection)
