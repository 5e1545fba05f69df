"""`bottle plugins conform`: the kit against whatever is installed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from core_harness import User, trust, write_distribution

from claude_bottle.testing.local import TARGET

SOURCE = """
from claude_bottle.declare import NoSection, agent
from claude_bottle.hookspecs import hookimpl
from claude_bottle.seam.part import Part
from claude_bottle.seam.tree import FileEntry

class Teller:
    @hookimpl
    def resolve_plan(self, spec, draft):
        return Part(section=spec.section(NoSection), argv=({argv}))

    @hookimpl
    def provision_prompt(self, bottle, plan):
        bottle.put([FileEntry("prompt", plan.prompt.encode())], "/home/agent")
        return "/home/agent/prompt" if plan.prompt else None

PLUGIN = agent(Teller(), section=NoSection)
"""

PROXIES = """
from claude_bottle.declare import NoSection, proxy
from claude_bottle.errors import LaunchError
from claude_bottle.hookspecs import hookimpl
from claude_bottle.seam.traits import ProxyTraits
from claude_bottle.testing.passage import Passage, PassageHooks

class MutePassage(Passage):
    def ready(self, timeout):
        raise LaunchError("it has no voice")

class Hooks(PassageHooks):
    @hookimpl
    def start_proxy(self, plan, site, secrets, warm):
        return MutePassage(plan, site)

MUTE = proxy(Hooks(), section=NoSection, traits=ProxyTraits(runs=frozenset({"process"})))
IMAGE = proxy(Hooks(), section=NoSection, traits=ProxyTraits(runs=frozenset({"image"})))
"""
NAME = "name another backend with --stage"
Install = Callable[[str], None]


@pytest.fixture
def install(user: User, tmp_path: Path) -> Install:
    """Return what installs an agent, `teller`, whose program is this, and two proxies."""

    def one(argv: str) -> None:
        points = {
            "claude_bottle.agent": {"teller": "teller:PLUGIN"},
            "claude_bottle.proxy": {"mute": "teller_proxies:MUTE", "fromimage": "teller_proxies:IMAGE"},
        }
        modules = {"teller.py": SOURCE.format(argv=argv), "teller_proxies.py": PROXIES}
        folder = write_distribution(tmp_path / "teller", "bottle-teller", points=points, modules=modules)
        user.path.insert(0, folder)
        trust(user.config, folder)

    return one


def test_one_that_conforms(user: User, install: Install) -> None:
    """Exit 0, a line for each part, and the sum."""
    install('"/bin/true",')
    done = user.run("plugins", "conform", "teller")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "agent teller (bottle-teller 1.0) on the kit's own backend"
    assert lines[-1] == "teller conforms: 12 passed, 0 failed, 0 skipped"
    assert {line.split()[0] for line in lines[1:3]} == {"plugin", "agent"}


def test_one_that_does_not(user: User, install: Install) -> None:
    """Exit 1; what is broken stands there by name, with the sentence that it breaks and what was seen."""
    install("")
    done = user.run("plugins", "conform", "teller")
    assert done.returncode == 1
    assert "failed test_it_names_a_program\n  Without it there is nothing to run" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("teller breaks its contract: ")
    shown = user.run("plugins", "conform", "agent/teller", "--format", "json", "--", "-k", "names_a_program")
    report = json.loads(shown.stdout)
    assert report["plugin"]["distribution"] == "bottle-teller"
    assert [(it["name"], it["outcome"]) for it in report["tests"]] == [("test_it_names_a_program", "failed")]


def test_what_cannot_be_tried_is_an_error(user: User, install: Install) -> None:
    """An unknown name, a section that is none, a stage for a backend, no test at all."""
    install('"/bin/true",')
    unknown = user.run("plugins", "conform", "tellr")
    assert (unknown.returncode, "tellr" in unknown.stderr) == (1, True)
    assert user.run("plugins", "conform", "teller", "--section", "[]").returncode == 2
    assert user.run("plugins", "conform", "backend/stage", "--stage", "stage").returncode == 2
    assert user.run("plugins", "conform", "teller", "--port", "443").returncode == 2
    none = user.run("plugins", "conform", "teller", "--", "-k", "nothing_of_the_kind")
    assert (none.returncode, "no test was run" in none.stderr) == (1, True)


def test_a_backend_that_cannot_be_here_is_one_error(user: User, install: Install) -> None:
    """It is asked before anything is tried: a backend that misses something, a pair that does not go together."""
    install('"/bin/true",')
    missing = user.run("plugins", "conform", "teller", "--stage", "stage", env={"STAGE_PROBE": "broken"})
    assert (missing.returncode, missing.stdout) == (1, "")
    what = "teller cannot be tried on stage: backend stage: stage floor: has a hole"
    assert missing.stderr == f"error: {what}\n hint: mend it\n"
    proxy = user.run("plugins", "conform", "fromimage", "--stage", "stage")
    pair = "backend stage and proxy fromimage do not go together: the one runs sidecars as process"
    assert (
        proxy.stderr == f"error: fromimage cannot be tried on stage: {pair}, the other is run as image\n hint: {NAME}\n"
    )
    alone = user.run("plugins", "conform", "fromimage")
    assert alone.returncode == 1
    assert "error: fromimage cannot be tried on the kit's own backend: it is not run as a process\n" in alone.stderr


def test_what_fails_for_one_reason_is_said_once(user: User, install: Install) -> None:
    """A proxy that never serves: the reason once, then every test that it keeps from being tried."""
    install('"/bin/true",')
    said = user.run("plugins", "conform", "mute", "--", "-k", "reached or credential")
    assert said.returncode == 1
    assert "failed 5 tests, for one reason\n  Failed: mute on local: it has no voice\n  - test_an_" in said.stdout
    assert said.stdout.count("it has no voice") == 1


def test_what_confines_nothing_is_never_started(user: User, tmp_path: Path) -> None:
    """The kit's own backend runs on this machine what it is given: an entry point to it is refused by `start`."""
    folder = write_distribution(tmp_path / "local", "bottle-local", points={"claude_bottle.backend": {"local": TARGET}})
    user.path.insert(0, folder)
    trust(user.config, folder)
    refused = user.run("start", "reviewer", "--yes", "--file", "bottle.yaml", "--backend", "local")
    assert refused.returncode == 125
    assert "error: backend local confines nothing: it is for the tests of other plugins\n" in refused.stderr
    assert user.run("plugins", "conform", "local", "--", "-k", "confines or home").returncode == 1


def test_what_may_be_lacking_is_a_skip_and_nothing_else_is(user: User, tmp_path: Path) -> None:
    """A word of the kit's own list, with a reason; no protection is on that list."""
    folder = write_distribution(tmp_path / "local", "bottle-local", points={"claude_bottle.backend": {"local": TARGET}})
    user.path.insert(0, folder)
    trust(user.config, folder)
    only = ("--", "-k", "may_be_lacking")
    assert user.run("plugins", "conform", "local", "--lack", "hang-up=it cannot", *only).returncode == 0
    assert user.run("plugins", "conform", "local", "--lack", "dialled=it cannot", *only).returncode == 1
    assert user.run("plugins", "conform", "local", "--lack", "hang-up", *only).returncode == 2
