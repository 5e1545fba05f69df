"""Real bottles on a real engine, with a stand-in for the proxy."""

import os
import secrets
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

# With `--import-mode=importlib` no folder of tests is on the path; the helpers' names are unique in the repository.
sys.path.insert(0, str(Path(__file__).parent))

from bottle_docker.bottle import DockerBottle
from bottle_docker.engine import Engine
from bottle_docker.plugin import PLUGIN, DockerBackend, open_engine
from bottle_docker.probe import probe
from bottle_docker.section import DockerSection
from bottle_docker.sidecar import ContainerSidecar
from bottle_docker.site import DockerSite
from claude_bottle.launch.prove import Proof
from claude_bottle.plan.plan import EgressPlan, Plan
from claude_bottle.plan.spec import Choice
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import File, SidecarSpec

BACKEND = DockerBackend()
BASE = "debian:bookworm-slim"
REFUSE = """
$| = 1; use IO::Socket::INET; $SIG{TERM} = sub { print "bye\\n"; exit 0 };
my $door = IO::Socket::INET->new(Listen => 5, LocalAddr => "0.0.0.0", LocalPort => 3128, ReuseAddr => 1) or die "$!";
print "up\\n"; print STDERR "noise\\n";
while (1) {
    my $peer = $door->accept or next;
    my $line = <$peer>; print $peer "HTTP/1.1 403 Forbidden\\r\\n\\r\\n"; close $peer;
}
"""
PROXY = SidecarSpec(
    argv=("/usr/bin/perl", "-e", REFUSE), image=BASE, files=(File("sub/file", b"data"),), folders=("kept",)
)


class Launched(NamedTuple):
    """A site, and the bottle and the stand-in on it."""

    site: DockerSite
    plan: Plan
    bottle: DockerBottle
    sidecar: ContainerSidecar
    label: str

    def prove(self) -> None:
        """Raise ProofError unless it is isolated, as a launch does."""
        proof = Proof(self.plan, self.site, PLUGIN.backend_traits)
        proof.begin(self.bottle)
        proof.ask_proxy(self.bottle)
        proof.judge()


Start = Callable[..., Launched]
OpenSite = Callable[..., tuple[DockerSite, Plan, str]]


def make_plan(section: DockerSection, slug: str, runtime: str | None = None) -> Plan:
    """Return the smallest plan that a bottle can be started from."""
    return Plan(
        agent=slug,
        bottle="dev",
        slug=slug,
        agent_plugin="shell",
        runtime=runtime,
        backend=Choice("docker", "flag"),
        proxy=Choice("stand-in", "flag"),
        egress=EgressPlan(rules=(), dlp_action="block"),
        argv=("/bin/sh",),
        sections=(("docker", section),),
    )


def say(line: str) -> None:
    """Show what takes long where pytest keeps it for a failure."""
    sys.stderr.write(f"{line}\n")


@pytest.fixture(scope="session")
def engine() -> Generator[Engine]:
    """The engine, where one can be used."""
    result = probe()
    if result.state != "ready":
        wrong = "; ".join(f"{it.what} {it.detail} ({it.cure})" for it in result.findings if not it.ok)
        pytest.skip(f"docker cannot run here: {wrong}")
    found = open_engine()
    yield found
    found.close()


@pytest.fixture
def open_site(engine: Engine) -> Generator[OpenSite]:
    """Open sites that are closed at the end: `open_site(section=None, slug="test", runtime=None)`."""
    with ExitStack() as stack:

        def begin(
            section: DockerSection | None = None, slug: str = "test", runtime: str | None = None
        ) -> tuple[DockerSite, Plan, str]:
            plan = make_plan(section or DockerSection(), f"{slug}-{os.getpid()}", runtime)
            label = secrets.token_hex(8)
            site = BACKEND.open_site(plan, Launch(label=label, owner=Owner.current()), say)
            stack.callback(site.close)
            return site, plan, label

        yield begin


@pytest.fixture
def start(open_site: OpenSite) -> Start:
    """Start bottles with a stand-in for the proxy: `start(section=None, slug="test", env={}, hidden={})`."""

    def begin(
        section: DockerSection | None = None,
        slug: str = "test",
        env: Mapping[str, str] | None = None,
        hidden: Mapping[str, str] | None = None,
    ) -> Launched:
        site, plan, label = open_site(section, slug)
        sidecar = site.run(PROXY)
        site.settle()
        bottle = BACKEND.start_bottle(plan, site, env or {}, Secrets(hidden or {}))
        assert isinstance(bottle, DockerBottle)
        assert next(sidecar.lines(20)) == b"up"
        return Launched(site, plan, bottle, sidecar, label)

    return begin
