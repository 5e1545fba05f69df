"""A launch inside of the test's own process, on the stage."""

import os
import sys
from collections.abc import Callable, Sequence

import pytest
from core_harness import STAGE, User
from msgspec.structs import replace

from claude_bottle.launch.launch import Console, Running, launched
from claude_bottle.launch.phases import Phases
from claude_bottle.launch.prepare import Prepared, prepare
from claude_bottle.launch.sources import Request, Surroundings
from claude_bottle.seam.part import Injection
from claude_bottle.seam.secrets import Secrets

__all__ = ["Stage"]

# Loaded once for all tests: each asks the environment anew what to do.
sys.path.insert(0, str(STAGE))


def nothing(_: Running) -> None:
    """Do nothing with a bottle."""


class Stage:
    """A user whose launches run in here."""

    def __init__(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        self.user = user
        self.said: list[str] = []
        self._monkeypatch = monkeypatch
        for name, value in user.environment().items():
            monkeypatch.setenv(name, value)

    def prepared(self, *words: str) -> Prepared:
        """Return the plan."""
        user = self.user
        request = Request("reviewer", user.project / "bottle.yaml", words=words)
        around = Surroundings(os.environ, user.project, user.home, user.config, user.state)
        return prepare(request, around, check_machine=True)

    def set(self, **env: str) -> None:
        """Change what the stage does: `fail="ready"` is `STAGE_FAIL=ready`."""
        for name, value in env.items():
            self._monkeypatch.setenv(f"STAGE_{name.upper()}", value)

    def launch(self, body: Callable[[Running], object] = nothing, injected: Sequence[Injection] = ()) -> None:
        """Bring a bottle up, do something with it, take it down; `injected` are credentials beside `TOKEN`."""
        console = Console(Phases(show=False), self.said.append)
        prepared = self.prepared()
        prepared = prepared._replace(plan=replace(prepared.plan, injected=tuple(injected)))
        secrets = Secrets({"TOKEN": "a secret"} | {it.name: f"the real {it.name}" for it in injected})
        with launched(prepared, secrets, None, console) as running:
            body(running)
