"""A user with an agent, a stand-in for its model, and a cache in which the agent's program is installed once."""

import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from e2e_user import Bottle, Done, User
from matrix_pair import Pair
from model_server import ModelServer

__all__ = ["INSTALL", "KEY", "OTHER", "TOKEN", "Company", "open_cache", "open_company"]

M = TypeVar("M", bound=ModelServer)

KEY = "sk-test-0123456789abcdefghijklmnopqrstuvwxyz"
"""Nobody's key: of no issuer's shape, so that no pattern knows it."""
TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
OTHER = "other.model.test"
"""A host of somebody else, which is allowed too."""
INSTALL = 500.0
"""Seconds for a launch that may have to build an image or fetch a program, or has a long session."""


class Company(NamedTuple, Generic[M]):
    """The user, the model and the bottle that tests look into together."""

    pair: Pair
    user: User
    model: M

    def manifest(self, bottle: Mapping[str, Any] | None = None, agent: Mapping[str, Any] | None = None) -> Path:
        """Write a manifest with the agent `reviewer`, whose bottle reaches the stand-ins."""
        egress: dict[str, Any] = {"allowlist": [OTHER], "private_addresses": [self.model.private]}
        if (
            self.pair.proxy == "pipelock"
        ):  # which does not open the model's host by default, and the proxy alone trusts it
            egress["dlp_action"] = "warn"
        return self.user.manifest({"egress": egress, **(bottle or {})}, agent)

    def needs(self, word: str) -> None:
        """Skip a test of what this pair's proxy declares that it cannot hold."""
        self.pair.holds(word)

    def start(self, *words: str, **how: Any) -> Done:
        """Start the agent with these words of its own."""
        return self.user.start(*words, timeout=INSTALL, **how)

    def detached(self) -> Bottle:
        """Start a bottle that runs until it is stopped."""
        done = self.user.bottle("start", "reviewer", "--file", "bottle.yaml", "--yes", "--detach", timeout=INSTALL)
        assert done.code == 0, done.err
        return Bottle(self.user, done.out.strip())


@contextmanager
def open_cache() -> Generator[Path]:
    """Make a cache that every uid can enter: root's bottles run as uids of their own."""
    folder = Path(tempfile.mkdtemp(prefix="agents-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def open_company(pair: Pair, cache: Path, folder: Path, model: type[M]) -> Generator[Company[M]]:
    """Start a model's stand-in where the pair's proxy reaches it, and make somebody who uses it."""
    ports = (443, 80) if pair.proxy == "pipelock" else (0, 0)
    server = model(folder, pair.address, ports)
    user = User(server.config(), {"backend": pair.backend, "proxy": pair.proxy})
    user.environment |= {
        "XDG_CACHE_HOME": str(cache),
        "NPM_CONFIG_CACHE": os.environ.get("NPM_CONFIG_CACHE", str(Path.home() / ".npm")),
    }
    if "DOCKER_HOST" in os.environ:
        user.environment["DOCKER_HOST"] = os.environ["DOCKER_HOST"]
    try:
        yield Company(pair, user, server)
    finally:
        user.close()
        server.close()
