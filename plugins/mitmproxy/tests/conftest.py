"""Upstreams and proxies for the tests of this plugin."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import bottle_mitmproxy.warm
from claude_bottle.plan.spec import Upstream as UpstreamPlan
from claude_bottle.seam.levels import HostRule

# With `--import-mode=importlib` a test's folder is not on the path; these two names are unique in the repository.
sys.path.insert(0, str(Path(__file__).parent))

from egress_harness import RULES, Altered, Launch, Running, make_plan
from egress_upstream import TestAuthority, Upstream


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    """Return the authority that signs the upstreams' certificates."""
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def https(authority: TestAuthority) -> Iterator[Upstream]:
    """Return an upstream that speaks TLS with HTTP/2 and HTTP/1.1 under several names."""
    names = ("api.test", "other.test", "warn.test", "opaque.test", "deep.wild.test", "raw.test")
    server = Upstream(authority.server_context(*names)).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def https1(authority: TestAuthority) -> Iterator[Upstream]:
    """Return an upstream that speaks TLS with HTTP/1.1 alone."""
    server = Upstream(authority.server_context("one.test", alpn=("http/1.1",))).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def http() -> Iterator[Upstream]:
    """Return an upstream without TLS."""
    server = Upstream().start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def upstreams(authority: TestAuthority, https: Upstream, https1: Upstream, http: Upstream) -> UpstreamPlan:
    """Return where the names of the tests lead."""
    tls = dict.fromkeys(
        ("api.test", "other.test", "warn.test", "opaque.test", "deep.wild.test", "wrong.test"), https.port
    )
    places = tls | {"one.test": https1.port, "plain.test": http.port, "raw.test": http.port}
    hosts = tuple((name, f"127.0.0.1:{port}") for name, port in places.items())
    return UpstreamPlan(ca=(str(authority.bundle),), hosts=(*hosts, ("metadata.test", "169.254.169.254:80")))


@pytest.fixture(scope="session")
def launch(tmp_path_factory: pytest.TempPathFactory, upstreams: UpstreamPlan) -> Iterator[Launch]:
    """Return a function that starts a proxy; all are ended with the session."""
    started: list[Running] = []

    def start(
        rules: Sequence[HostRule] = RULES,
        private: Sequence[str] = ("127.0.0.0/8",),
        upstream: UpstreamPlan = upstreams,
    ) -> Running:
        running = Running(tmp_path_factory.mktemp("proxy"), make_plan(rules, private, upstream))
        started.append(running)
        return running

    yield start
    for running in started:
        running.close()


@pytest.fixture(scope="session")
def shared(launch: Launch) -> Running:
    """Return the proxy that most tests use: whatever they do, it must go on serving."""
    return launch()


@pytest.fixture
def proxy(shared: Running, https: Upstream, https1: Upstream, http: Upstream) -> Running:
    """Return the shared proxy, with what was seen before forgotten."""
    time.sleep(0.05)  # what the test before left comes in
    shared.events(0)
    for server in (https, https1, http):
        server.seen.clear()
        server.messages.clear()
        server.raw.clear()
    return shared


@pytest.fixture
def altered(tmp_path: Path, upstreams: UpstreamPlan, monkeypatch: pytest.MonkeyPatch) -> Iterator[Altered]:
    """Return a function that starts a proxy in whose process some code runs first."""
    started: list[Running] = []

    def start(code: str) -> Running:
        program = tmp_path / "altered.py"
        program.write_text(
            "import sys\nfrom bottle_mitmproxy.sidecar import lean\nlean.install()\n"
            "from bottle_mitmproxy.sidecar import body, gate, handler, main, serve, stream, tunnel\n"
            f"{code}\nsys.exit(main.main(sys.argv[1:]))\n"
        )
        monkeypatch.setattr(bottle_mitmproxy.warm, "ARGV", (sys.executable, "-P", str(program)))
        (tmp_path / "run").mkdir()
        running = Running(tmp_path / "run", make_plan(RULES, upstream=upstreams))
        started.append(running)
        return running

    yield start
    for running in started:
        running.close()
