"""Agents against stand-ins of their own APIs, on every pair of backend and proxy; each is installed once a run."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# With `--import-mode=importlib` no folder of tests is on the path; the helpers' names are unique in the repository.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parents[1] / "matrix"))
sys.path.insert(0, str(Path(__file__).parents[1] / "model"))

from agents_user import Company, open_cache, open_company
from matrix_pair import COLUMNS, Pair
from model_claude import ClaudeModel


@pytest.fixture(scope="session", params=COLUMNS)
def pair(request: pytest.FixtureRequest) -> Pair:
    """Each pair in turn."""
    request.param.check()
    return request.param


@pytest.fixture(scope="session")
def cache() -> Iterator[Path]:
    """Where the programs of the agents are kept for all tests of a run."""
    with open_cache() as folder:
        yield folder


@pytest.fixture(scope="module")
def claude(pair: Pair, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company[ClaudeModel]]:
    """Somebody with an API key of the stand-in for Claude's API, which is all that their bottles reach."""
    with open_company(pair, cache, tmp_path_factory.mktemp("claude"), ClaudeModel) as company:
        yield company
