"""Every backend with every proxy that can run here: each test of this folder runs on each pair."""

import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

# With `--import-mode=importlib` no folder of tests is on the path; the helpers' names are unique in the repository.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parents[2] / "plugins" / "mitmproxy" / "tests"))  # the corpus of credentials

from e2e_upstream import ALLOWED, Internet
from e2e_user import Bottle, User
from matrix_pair import COLUMNS, Pair, is_listed


@pytest.fixture(scope="session", params=COLUMNS)
def pair(request: pytest.FixtureRequest) -> Pair:
    """Each pair in turn."""
    request.param.check()
    return request.param


@pytest.fixture(scope="module")
def internet(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    """The upstreams that a bottle may or may not reach."""
    servers = pair.internet(tmp_path_factory.mktemp("internet"))
    yield servers
    servers.close()


@pytest.fixture
def user(pair: Pair, internet: Internet) -> Iterator[User]:
    """Somebody whose manifest allows one host, and whose configuration leads it to our upstream."""
    someone = pair.user(internet)
    someone.manifest({"egress": {"allowlist": [ALLOWED], "private_addresses": [internet.private]}})
    yield someone
    someone.close()


@pytest.fixture(scope="module")
def bottle(pair: Pair, internet: Internet) -> Iterator[Bottle]:
    """A bottle that all tests of a module look into, and none changes."""
    someone = pair.user(internet)
    someone.manifest({"egress": {"allowlist": [ALLOWED], "private_addresses": [internet.private]}})
    yield someone.detached()
    someone.close()


@pytest.fixture
def needs(pair: Pair, bottle: Bottle) -> Callable[[str], None]:
    """Skip a test for want of a program that a bottle on this machine's own tree would find in /usr."""

    def check(program: str) -> None:
        if bottle.sh(f"command -v {program}").code:
            assert not pair.contained, f"the image of the tests has no {program}"
            pytest.skip(f"{program} is not in this machine's /usr: apt-get install it")

    return check


@pytest.fixture
def holds(pair: Pair) -> Callable[[str], None]:
    """Skip a test of what this pair's proxy declares that it cannot hold: a word of the list."""
    return pair.holds


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a skip that no list has fail the run: what is not tested is written down, or it is tested."""
    report = yield
    match report.longrepr:
        case (_, _, str(words)) if report.skipped and not is_listed(words.removeprefix("Skipped: ")):
            report.outcome, report.longrepr = "failed", f"no list of tests/matrix/matrix_pair.py has this skip: {words}"
        case _:
            pass
    return report
