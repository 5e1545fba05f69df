"""Real bottles for the tests, and bottles from which one protection was taken out."""

import os
import secrets
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from bottle_bwrap import sandbox
from bottle_bwrap.bottle import BwrapBottle
from bottle_bwrap.command import sandbox_command
from bottle_bwrap.interpreter import find_interpreter
from bottle_bwrap.plugin import BwrapBackend
from bottle_bwrap.probe import probe
from bottle_bwrap.section import BwrapSection
from bottle_bwrap.site import BwrapSite
from claude_bottle.plan.plan import EgressPlan, Plan
from claude_bottle.plan.spec import Choice
from claude_bottle.seam import seccomp
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.secrets import Secrets

Start = Callable[..., BwrapBottle]
OpenSite = Callable[..., BwrapSite]
Weakened = Callable[..., AbstractContextManager[BwrapBottle]]
BACKEND = BwrapBackend()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs another user, or a machine that allows user namespaces."""
    root = os.getuid() == 0
    for item in items:
        if item.get_closest_marker("root") and not root:
            item.add_marker(pytest.mark.skip(reason="needs root: run the tests as root too"))
        if item.get_closest_marker("user") and root:
            item.add_marker(pytest.mark.skip(reason="needs a plain user: run the tests as one too"))


def make_plan(section: BwrapSection, slug: str) -> Plan:
    """Return the smallest plan that a bottle can be started from."""
    return Plan(
        agent=slug,
        bottle="dev",
        slug=slug,
        agent_plugin="shell",
        backend=Choice("bwrap", "flag"),
        proxy=Choice("none", "flag"),
        egress=EgressPlan(rules=(), dlp_action="block"),
        argv=("/bin/sh",),
        sections=(("bwrap", section),),
    )


@pytest.fixture(scope="module", autouse=True)
def runtime() -> Generator[Path]:
    """A runtime folder of our own, and proof that every launch of a module was taken down again."""
    result = probe()
    if result.state != "ready":
        pytest.skip(f"needs bubblewrap and user namespaces: {result.findings}; `bottle doctor` has the cure")
    folder = Path(tempfile.mkdtemp(prefix="bottle-"))
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    yield folder
    if before is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = before
    left = [str(path) for path in folder.glob("claude-bottle/bwrap/*")]
    shutil.rmtree(folder)
    assert left == []


@contextmanager
def opened_site(section: BwrapSection, slug: str) -> Generator[tuple[BwrapSite, Plan]]:
    """One site, closed at the end."""
    plan = make_plan(section, slug)
    site = BACKEND.open_site(plan, Launch(label=secrets.token_hex(4), owner=Owner.current()), print)
    try:
        yield site, plan
    finally:
        site.close()


def start_in(
    stack: ExitStack, section: BwrapSection | None, slug: str, env: Mapping[str, str], hidden: Mapping[str, str]
) -> BwrapBottle:
    """Start a bottle that ends with `stack`."""
    site, plan = stack.enter_context(opened_site(section or BwrapSection(), slug))
    bottle = BACKEND.start_bottle(plan, site, env, Secrets(hidden))
    assert isinstance(bottle, BwrapBottle)
    return bottle


@pytest.fixture(scope="module")
def bottle(runtime: Path) -> Generator[BwrapBottle]:
    """One bottle that the tests of a module share."""
    with ExitStack() as stack:
        yield start_in(stack, None, "shared", {"LITERAL": "plain"}, {"FORWARDED": "hidden-5e1f"})


@pytest.fixture
def start(runtime: Path) -> Generator[Start]:
    """Start bottles: `start(section=None, slug="test", env={}, hidden={})`."""
    with ExitStack() as stack:

        def begin(
            section: BwrapSection | None = None,
            slug: str = "test",
            env: Mapping[str, str] | None = None,
            hidden: Mapping[str, str] | None = None,
        ) -> BwrapBottle:
            return start_in(stack, section, slug, env or {}, hidden or {})

        yield begin


@pytest.fixture
def open_site(runtime: Path) -> Generator[OpenSite]:
    """Open sites: `open_site(slug="test")`."""
    with ExitStack() as stack:

        def begin(slug: str = "test") -> BwrapSite:
            return stack.enter_context(opened_site(BwrapSection(), slug))[0]

        yield begin


@pytest.fixture
def python() -> str:
    """The interpreter inside."""
    return find_interpreter().path


@pytest.fixture
def weakened(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> Weakened:
    """Start a bottle without one of its protections, to see that a probe for it can succeed at all.

    `without` and `extra` are options of bubblewrap, `unfiltered` replaces the seccomp filter by one that
    allows everything, `privileged` leaves bubblewrap to the uid that we have, `env` is its environment, and
    `trusting` leaves out what the agent server denies itself and insists on.
    """

    @contextmanager
    def begin(
        *,
        without: Sequence[tuple[str, ...]] = (),
        extra: Sequence[str] = (),
        unfiltered: bool = False,
        privileged: bool = False,
        trusting: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> Generator[BwrapBottle]:
        command, spawn, files = sandbox_command, sandbox.spawn, sandbox.server_files

        def edited(layout: object, words: Sequence[str]) -> list[str]:
            arguments = command(layout, words)  # pyright: ignore[reportArgumentType] - passed on as it came
            for option in without:
                arguments = remove(arguments, option)
            return [*extra, *arguments]

        def spawned(argv: Sequence[str], **given: object) -> subprocess.Popen[bytes]:
            changed = {"env": {**os.environ, **env}} if env is not None else {}
            return spawn(argv, **{**given, **changed, **({"uid": None} if privileged else {})})  # pyright: ignore[reportArgumentType]

        def trusted() -> Mapping[str, bytes]:
            return {place: source.replace(b"    confine()\n", b"") for place, source in files().items()}

        with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
            patch.setattr(sandbox, "sandbox_command", edited)
            patch.setattr(sandbox, "spawn", spawned)
            if trusting:
                patch.setattr(sandbox, "server_files", trusted)
            if unfiltered:
                patch.setattr(seccomp, "program", allow_all)
            yield start_in(stack, None, "weak", {}, {})

    return begin


def allow_all(_machine: str) -> bytes:
    """Return a filter of one instruction: return SECCOMP_RET_ALLOW."""
    return struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)


def remove(arguments: Sequence[str], option: tuple[str, ...]) -> list[str]:
    """Return arguments without an option that must be there."""
    for index in range(len(arguments)):
        if tuple(arguments[index : index + len(option)]) == option:
            return [*arguments[:index], *arguments[index + len(option) :]]
    raise AssertionError(f"{option} is no option of a bottle")
