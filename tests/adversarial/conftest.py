"""What the adversarial tests share: an Internet of their own, a hostile program's bottle, users with fresh homes."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# With `--import-mode=importlib` no folder of tests is on the path; the helpers' names are unique in the repository.
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from e2e_upstream import ALLOWED, Internet
from e2e_user import Bottle, User

PLAIN = "plain.e2e.test"
OPEN = {"allowlist": [ALLOWED, PLAIN], "private_addresses": ["127.0.0.0/8"]}


@pytest.fixture(scope="session")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    """The upstreams, which speak HTTP/1.1 alone: what came in HTTP/2 is written out anew for them."""
    servers = Internet(tmp_path_factory.mktemp("internet"))
    yield servers
    servers.close()


@pytest.fixture
def user(internet: Internet) -> Iterator[User]:
    """Somebody with a manifest, whose bottles leave no trace in another test."""
    someone = User(internet.config())
    someone.manifest({"egress": OPEN})
    yield someone
    someone.close()


@pytest.fixture(scope="module")
def bottle(internet: Internet) -> Iterator[Bottle]:
    """A bottle that may reach one host with TLS, and one without."""
    someone = User(internet.config())
    someone.manifest({"egress": OPEN})
    yield someone.detached()
    someone.close()
