"""Keys, a home and an ssh-agent for the tests of this plugin."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# With `--import-mode=importlib` a test's folder is not on the path; the helpers' names are unique in the repository.
sys.path.insert(0, str(Path(__file__).parent))

from ssh_keys import Home

from bottle_ssh.agent import KeyAgent


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A user's home and folders, short, since the paths of sockets are limited."""
    folder = Path(tempfile.mkdtemp(prefix="ssh-"))
    for name in ("HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield Home(folder)
    shutil.rmtree(folder)


@pytest.fixture
def agent(home: Home) -> Iterator[KeyAgent]:
    """A running agent without keys."""
    running = KeyAgent()
    try:
        running.await_start()
        yield running
    finally:
        running.close()
