"""What the tests of the workspace share: users without a configuration, a real bottle for each test."""

import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

# With `--import-mode=importlib` a test's folder is not on the path; the helpers' names are unique in the repository.
sys.path.insert(0, str(Path(__file__).parent))

from git_harness import Repo, Stay

from claude_bottle.testing.contract import load_target
from claude_bottle.testing.ground import Ground, ground_of


@pytest.fixture(scope="session")
def ground() -> Generator[Ground]:
    """The backend without a daemon; skipped with what it misses where it cannot run."""
    with ground_of(load_target("backend", "bwrap", "bottle_bwrap.plugin:PLUGIN"), {}) as ground:
        yield ground


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user of this test alone, whom git knows by name."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text("[user]\n\tname = Ann Other\n\temail = ann@example.com\n")
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CONFIG_GLOBAL"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository with one commit."""
    return Repo(tmp_path / "repo")


@pytest.fixture
def enter(ground: Ground) -> Generator[Callable[[Path], Stay]]:
    """Bring a folder into a bottle of this test's own."""
    with ground.start("reviewer") as held:
        yield lambda folder: Stay(held, folder)
