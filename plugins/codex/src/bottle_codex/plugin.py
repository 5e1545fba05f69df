"""The hooks of the agent plugin `codex`."""

from typing import TYPE_CHECKING

from msgspec import Struct

from claude_bottle.declare import agent
from claude_bottle.hookspecs import hookimpl
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import BottleSpec, Draft
from claude_bottle.seam.levels import HostWish
from claude_bottle.seam.part import Package, Part, Program

if TYPE_CHECKING:  # a plan needs none of it
    from claude_bottle.seam.bottle import Bottle

__all__ = ["PLUGIN", "CodexSection"]

# ruff: noqa: PLC0415 - this module is imported to list and to plan; what works in a bottle is imported when one runs

NAME, SOURCE, VERSION = "codex", "@openai/codex", "0.171.0"
SIZE = 172_033_439
MEMORY = 512 << 20

# Machine, the registry's name of it, the compiler's, and the registry's `dist.integrity`.
BUILDS = (
    (
        "x86_64",
        "linux-x64",
        "x86_64-unknown-linux-musl",
        "sha512-l66NZkQgdk2C3pbcfULDz42yEUB581MVA6I+Y43Wp4OIqEy73HCdmZ0GTjeAHY2ycuH4N00d9VsLrwT1jxshTw==",
    ),
    (
        "aarch64",
        "linux-arm64",
        "aarch64-unknown-linux-musl",
        "sha512-9z17t4bbUJ9UCIb49O4PoA+ki+45q3rd8nZ8PeH6sYnlKkBld/Xpo/OS3h3Ti954+foshX4o7k5TCU8N7zzqQA==",
    ),
)
"""One package in several builds, which differ in their version and in where the program lies."""


class CodexSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Codex in this bottle: `model` as OpenAI names it, else Codex's own choice."""

    model: str | None = None


class Codex:
    """The hooks; what each promises is in `claude_bottle.hookspecs`."""

    @hookimpl
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[CodexSection]:
        """Return Codex with its host. It is told by a file how to run, and needs no argument."""
        del draft
        return Part(
            section=spec.section(CodexSection),
            hosts=(HostWish(host="api.openai.com", level="warn", why="codex"),),
            argv=(NAME,),
            forward=("OPENAI_API_KEY",),
            programs=(program(),),
            memory=MEMORY,
        )

    @hookimpl
    def provision_prompt(self, bottle: "Bottle", plan: Plan) -> str | None:
        """Write the prompt where Codex looks for what holds in every project, and its settings beside it."""
        from bottle_codex.settings import furnish

        return furnish(bottle, plan.prompt, plan.section(CodexSection).model)


def program() -> Program:
    """Return the tested release."""
    return Program(
        name=NAME,
        version=VERSION,
        source=SOURCE,
        packages=tuple(
            Package(
                name=SOURCE,
                version=f"{VERSION}-{build}",
                integrity=integrity,
                machine=machine,
                commands=((NAME, f"vendor/{target}/bin/codex"),),
            )
            for machine, build, target, integrity in BUILDS
        ),
        size=SIZE,
    )


PLUGIN = agent(Codex(), section=CodexSection)
