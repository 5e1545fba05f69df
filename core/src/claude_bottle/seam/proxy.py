"""A running way out, as core sees it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from claude_bottle.seam.event import Event
from claude_bottle.seam.levels import HostRule

__all__ = ["Proxy"]


class Proxy(Protocol):
    """What `start_proxy` returns, without waiting."""

    @property
    def env(self) -> Mapping[str, str]:
        """Placeholders of injected credentials, name to value; empty where nothing is injected."""
        ...

    def ready(self, timeout: float) -> bytes | None:
        """Wait until it serves, and return the PEM of its CA's public part; None if it opens no TLS.

        Raises LaunchError with its own last words if it ended, DeadlineError after `timeout` seconds.
        """
        ...

    def wait(self, timeout: float | None = None) -> int | None:
        """Return its exit code, or None if it still runs after `timeout` seconds."""
        ...

    def events(self) -> Iterator[Event]:
        """Yield its decisions, redacted, until it ends. Called once."""
        ...

    def reload(self, rules: Sequence[HostRule]) -> bool:
        """Replace the rules of allowed hosts while it runs; False if it needs a restart for that."""
        ...

    def stop(self) -> None:
        """End it. Idempotent."""
        ...
