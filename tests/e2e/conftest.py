"""What the end-to-end tests share: an Internet of their own, users with fresh homes, a bottle that runs."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# With `--import-mode=importlib` a test's folder is not on the path; the helpers' names are unique in the repository.
sys.path.insert(0, str(Path(__file__).parent))

from e2e_upstream import ALLOWED, Internet
from e2e_user import INSIDE, Bottle, User

OPEN = {"allowlist": [ALLOWED], "private_addresses": ["127.0.0.0/8"]}


@pytest.fixture(scope="session")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    """The upstreams that a bottle may or may not reach."""
    servers = Internet(tmp_path_factory.mktemp("internet"))
    yield servers
    servers.close()


@pytest.fixture
def user(internet: Internet) -> Iterator[User]:
    """Somebody whose manifest allows one host, and whose configuration leads it to our upstream."""
    someone = User(internet.config())
    someone.manifest({"egress": OPEN})
    yield someone
    someone.close()


@pytest.fixture(scope="module")
def bottle(internet: Internet) -> Iterator[Bottle]:
    """A bottle that all tests of a module look into, and none changes."""
    someone = User(internet.config())
    someone.manifest({"egress": OPEN})
    yield someone.detached()
    someone.close()


@pytest.fixture
def needs() -> Callable[[str], None]:
    """Skip a test for want of a program that a bottle would find in the host's /usr."""

    def check(program: str) -> None:
        if shutil.which(program, path=INSIDE) is None:
            pytest.skip(f"{program} is not in this machine's /usr: apt-get install it")

    return check
