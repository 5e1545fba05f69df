"""The real pipelock, and upstreams for it."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import bottle_pipelock.proxy
from claude_bottle.plan.spec import Upstream as UpstreamPlan
from claude_bottle.seam.levels import DlpAction, HostRule

# With `--import-mode=importlib` a test's folder is not on the path; these names are unique in the repository.
sys.path.insert(0, str(Path(__file__).parent))

from pipelock_site import Running, find_program, make_plan, rule
from pipelock_upstream import Upstream, make_certificate

from bottle_pipelock.section import IMAGE

NAMES = ("api.test", "warn.test", "opaque.test", "deep.wild.test", "wild.test", "closed.test", "later.test")
RULES = (
    rule("api.test"),
    rule("plain.test"),
    rule("opaque.test", "opaque"),
    rule("*.wild.test"),
    rule("private.test"),
    rule("nowhere.test"),
)

Start = Callable[..., Running]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program, or leave the test out."""
    found = find_program(tmp_path_factory.mktemp("program"))
    if found is None:
        pytest.skip(f"needs pipelock 2.3.0: neither the image {IMAGE} nor the program on PATH")
    return found


@pytest.fixture(scope="session")
def names_apart() -> None:
    """Leave the test out where a process cannot be given names of its own."""
    bwrap = shutil.which("bwrap")
    command = [bwrap or "false", "--dev-bind", "/", "/", "--", "true"]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs bwrap that may make namespaces")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the upstreams' certificate, which is its own authority, with its key."""
    return make_certificate(tmp_path_factory.mktemp("upstream"), *NAMES)


@pytest.fixture(scope="session")
def tls(certificate: Path) -> Iterator[Upstream]:
    """Return an upstream that speaks TLS."""
    server = Upstream(certificate)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def plain() -> Iterator[Upstream]:
    """Return an upstream without TLS."""
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def start(
    tmp_path_factory: pytest.TempPathFactory, program: Path, names_apart: None, certificate: Path
) -> Iterator[Start]:
    """Return a function that starts a proxy; all are ended with the session."""
    started: list[Running] = []
    hosts = [(name, "127.0.0.1:443") for name in (*NAMES, "plain.test")] + [("private.test", "10.1.2.3:443")]
    upstream = UpstreamPlan(ca=(str(certificate),), hosts=tuple(hosts))

    def run(rules: Sequence[HostRule] = RULES, action: DlpAction = "block") -> Running:
        running = Running(tmp_path_factory.mktemp("proxy"), program, make_plan(rules, action, upstream))
        started.append(running)
        return running

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bottle_pipelock.proxy, "LOOK", 0.1)
        yield run
        for running in started:
            running.stop()


@pytest.fixture(scope="session")
def shared(start: Start) -> Running:
    """Return the proxy that most tests use: whatever they do, it must go on serving."""
    return start()


@pytest.fixture(scope="session")
def shared_warn(start: Start) -> Running:
    """Return one that warns where the other blocks."""
    return start([rule("api.test", "warn"), rule("plain.test", "warn")], "warn")


@pytest.fixture
def proxy(shared: Running, tls: Upstream, plain: Upstream) -> Running:
    """Return the shared proxy, with what was seen before forgotten."""
    return forget(shared, tls, plain)


@pytest.fixture
def warning(shared_warn: Running, tls: Upstream, plain: Upstream) -> Running:
    """Return the one that warns, with what was seen before forgotten."""
    return forget(shared_warn, tls, plain)


def forget(running: Running, *upstreams: Upstream) -> Running:
    """Forget events and requests."""
    time.sleep(0.3)  # what the test before left comes in
    running.await_events(0)
    for upstream in upstreams:
        upstream.seen.clear()
    return running
