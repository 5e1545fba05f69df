"""The stage as a fixture."""

import pytest
from core_harness import User
from core_stage import Stage


@pytest.fixture
def stage(user: User, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Return a stage with nothing on it."""
    return Stage(user, monkeypatch)
