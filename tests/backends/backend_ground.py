"""A backend of this machine, and a bottle on it without a proxy."""

import secrets
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from claude_bottle.declare import Plugin
from claude_bottle.hookspecs import Hooks
from claude_bottle.plan.plan import EgressPlan, Plan
from claude_bottle.plan.spec import Choice
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.secrets import Secrets

__all__ = ["MODULES", "Ground", "started"]

MODULES = {"bwrap": "bottle_bwrap.plugin", "docker": "bottle_docker.plugin"}


class Ground(NamedTuple):
    """A backend that can run here, the folder of its users, and where it says that the proxy is."""

    name: str
    module: str
    hooks: Hooks
    folder: Path

    def find(self) -> Bottle:
        """Return the one bottle that runs, as any other terminal has it."""
        found = list(self.hooks.list_bottles() or ())
        assert len(found) == 1
        return found[0]


def say(line: str) -> None:
    """Show what takes long where pytest keeps it for a failure."""
    sys.stderr.write(f"{line}\n")


@contextmanager
def started(ground: Ground, slug: str, env: Mapping[str, str], hidden: Mapping[str, str]) -> Generator[Bottle]:
    """Start a bottle without a proxy, and end it."""
    plugin: Plugin = import_module(ground.module).PLUGIN
    plan = Plan(
        agent=slug,
        bottle="dev",
        slug=slug,
        agent_plugin="shell",
        backend=Choice(ground.name, "flag"),
        proxy=Choice("none", "flag"),
        egress=EgressPlan(rules=(), dlp_action="block"),
        argv=("/bin/sh",),
        sections=((ground.name, plugin.section()),),
    )
    launch = Launch(label=secrets.token_hex(4), owner=Owner.current())
    site = ground.hooks.open_site(plan=plan, launch=launch, say=say)
    assert site is not None
    try:
        site.settle()
        bottle = ground.hooks.start_bottle(plan=plan, site=site, env=env, secrets=Secrets(hidden))
        assert bottle is not None
        yield bottle
    finally:
        site.close()
