"""A backend under test, and bottles on it that have no proxy: nothing outside is reachable from them at all."""

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec
import pytest

from claude_bottle.hookspecs import Hooks
from claude_bottle.plan.plan import EgressPlan, Plan
from claude_bottle.plan.spec import Choice
from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.part import Mount
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import Site

__all__ = ["FORWARDED", "LITERALS", "Ground", "Held", "ground_of", "make_plan"]

LITERALS: Mapping[str, str] = {"LITERAL": "plain"}
FORWARDED: Mapping[str, str] = {"FORWARDED": "hidden-5e1f"}


class Held(NamedTuple):
    """A bottle that runs, its site, and the plan that both were made from."""

    bottle: Bottle
    site: Site
    plan: Plan
    launch: Launch


class Ground(NamedTuple):
    """A backend that can run here, and the folder of this test's user."""

    loaded: Loaded
    section: Mapping[str, Any]
    folder: Path

    @property
    def hooks(self) -> Hooks:
        """The backend's hooks."""
        return self.loaded.hooks

    @property
    def target(self) -> str:
        """The entry point's target, for another process to load."""
        return self.loaded.record.target

    def find(self, name: str) -> Bottle:
        """Return a bottle that runs, as any other terminal has it."""
        found = [it for it in self.hooks.list_bottles() or () if it.name == name]
        assert len(found) == 1, f"list_bottles has {name} {len(found)} times"
        return found[0]

    @contextmanager
    def start(self, slug: str, mounts: Sequence[Mount] = ()) -> Generator[Held]:
        """Start a bottle without a proxy, and take it down."""
        plan = msgspec.structs.replace(make_plan(self.loaded, self.section, slug), mounts=tuple(mounts))
        launch = Launch(label=secrets.token_hex(4), owner=Owner.current())
        site = self.hooks.open_site(plan=plan, launch=launch, say=say)
        assert site is not None, "open_site returns nothing"
        try:
            site.settle()
            bottle = self.hooks.start_bottle(plan=plan, site=site, env=LITERALS, secrets=Secrets(FORWARDED))
            assert bottle is not None, "start_bottle returns nothing"
            yield Held(bottle, site, plan, launch)
        finally:
            site.close()


def make_plan(loaded: Loaded, section: Mapping[str, Any], slug: str) -> Plan:
    """Return the plan of a shell in a bottle that may go nowhere."""
    return Plan(
        agent=slug,
        bottle="dev",
        slug=slug,
        agent_plugin="shell",
        backend=Choice(loaded.name, "flag"),
        proxy=Choice("none", "flag"),
        egress=EgressPlan(rules=(), dlp_action="block"),
        argv=("/bin/sh",),
        sections=((loaded.name, msgspec.convert(section, loaded.plugin.section)),),
    )


def say(line: str) -> None:
    """Show what takes long where pytest keeps it for a failure."""
    sys.stderr.write(f"{line}\n")


@contextmanager
def ground_of(loaded: Loaded, section: Mapping[str, Any]) -> Generator[Ground]:
    """Give a backend folders of our own, and prove that what ran there left nothing; skip where it cannot run."""
    result = loaded.hooks.probe()
    assert result is not None, "probe returns nothing"
    if result.state != "ready":
        wrong = "; ".join(f"{it.what} {it.detail} ({it.cure})" for it in result.findings if not it.ok)
        pytest.skip(f"{loaded.name} cannot run here: {wrong or result.state}")
    folder = Path(tempfile.mkdtemp(prefix="bottle-"))  # short: the paths of sockets are limited
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        yield Ground(loaded, section, folder)
        left = [str(path) for path in folder.glob("claude-bottle/*/*")]
        bottles = [it.name for it in loaded.hooks.list_bottles() or () if it.slug.endswith(f"-{os.getpid()}")]
    shutil.rmtree(folder)
    assert left == []
    assert bottles == []


class GroundFixtures:
    """The fixtures that contracts of a backend share."""

    section: ClassVar[Mapping[str, Any]]
    lacks: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(scope="class")
    @classmethod
    def ground(cls, loaded: Loaded) -> Generator[Ground]:
        """The backend, with folders of our own."""
        with ground_of(loaded, cls.section) as ground:
            yield ground

    @pytest.fixture(scope="class")
    @classmethod
    def held(cls, ground: Ground) -> Generator[Held]:
        """One bottle that the tests of a class share."""
        with ground.start(f"shared-{os.getpid()}") as held:
            yield held

    @pytest.fixture(scope="class")
    @classmethod
    def bottle(cls, held: Held) -> Bottle:
        """It, as its launcher has it."""
        return held.bottle

    @pytest.fixture
    def walls(self, loaded: Loaded) -> None:
        """Skip for the kit's own backend what needs a tree, a network, processes or a terminal of its own."""
        traits = loaded.plugin.backend_traits
        if traits is not None and not traits.confines:
            pytest.skip("it is marked as confining nothing: it has no walls, and no terminal of its own")

    @pytest.fixture(params=["own", "found"])
    def either(self, request: pytest.FixtureRequest, ground: Ground, bottle: Bottle) -> Bottle:
        """It, as its launcher has it, and as any other terminal has it."""
        return bottle if request.param == "own" else ground.find(bottle.name)

    @pytest.fixture
    def lack(self) -> Callable[[str], None]:
        """Skip what the plugin says that it does not hold, with its reason."""

        def check(word: str) -> None:
            if reason := self.lacks.get(word):
                pytest.skip(reason)

        return check
