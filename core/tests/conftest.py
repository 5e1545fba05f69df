"""What the tests of core share: a user of the command line, on a machine of their own as far as can be."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

# With `--import-mode=importlib` a test's folder is not on the path; the helpers' names are unique in the repository.
sys.path.insert(0, str(Path(__file__).parent))

from core_harness import Terminal, User


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    """Return a user with an empty home and the stage's plugins; sockets lie in a folder with a short name."""
    with tempfile.TemporaryDirectory(prefix="bottle-") as run:
        someone = User(tmp_path / "home", Path(run))
        yield someone
        someone.close()


@pytest.fixture
def terminal(user: User) -> Iterator[Callable[..., Terminal]]:
    """Return what starts a command on a terminal; whatever is left of it is ended afterwards."""
    opened: list[Terminal] = []

    def start(*words: str, env: Mapping[str, str] | None = None) -> Terminal:
        opened.append(Terminal(user, words, env))
        return opened[-1]

    yield start
    for each in opened:
        each.close()
