"""What the tests of skills share: a home that is not the user's own."""

import sys
from pathlib import Path

import pytest

# With `--import-mode=importlib` no folder of tests is on the path; the helpers' names are unique in the repository.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def skills(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the skills of whoever runs `bottle`, which is there and empty."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    folder = home / ".claude" / "skills"
    folder.mkdir(parents=True)
    return folder
