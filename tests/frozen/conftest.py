"""What the tests of the frozen plugins share: a user who has installed them and trusts them."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# With `--import-mode=importlib` a test's folder is not on the path; the helpers' names are unique in the repository.
sys.path.insert(0, str(Path(__file__).parents[2] / "core" / "tests"))

from core_harness import User, trust

GENERATIONS = sorted(Path(__file__).parent.glob("api*"))

MANIFEST = """\
version: 1
bottles:
  dev:
    backend: frozen
    proxy: frozenway
    egress:
      allowlist: [api.example.com]
    frozen:
      memory: 256
      words: [one, two]
    frozenprops:
agents:
  reviewer:
    bottle: dev
    agent: frozenhand
    prompt: You review changes.
    skills: []
"""


@pytest.fixture(params=GENERATIONS, ids=lambda folder: folder.name)
def generation(request: pytest.FixtureRequest) -> Path:
    """The folder of each generation of hooks."""
    return request.param


@pytest.fixture
def user(generation: Path, tmp_path: Path) -> Iterator[User]:
    """Somebody who has the plugins of a generation; sockets lie in a folder with a short name."""
    with tempfile.TemporaryDirectory(prefix="bottle-") as run:
        someone = User(tmp_path / "home", Path(run))
        someone.path = [generation]
        trust(someone.config, generation)
        someone.environ = {"FROZEN_WORLD": str(someone.world), "FROZEN_TOKEN": "token"}
        someone.manifest(MANIFEST)
        yield someone
        someone.close()
