"""What the launcher remembers of a bottle while it runs: what went in, and which branches are this bottle's own."""

from collections.abc import Iterator

from msgspec import Struct

from bottle_git.source import Repository
from claude_bottle.seam.bottle import Bottle

__all__ = ["PLAIN", "Branch", "Part", "forget", "parts", "remember"]

PLAIN = ".bottle-workspace"
"""The repository of a plain folder inside, below the agent's home."""


class Branch(Struct, frozen=True):
    """A branch that this bottle made, and the commit that it put there."""

    name: str
    commit: str


class Part(Struct, frozen=True):
    """One repository of a workspace. `tree` is the working tree as it came in, where it differed from its commit.

    `branches` are those made so far, by what they hold: a branch's full name inside, `HEAD`, or `wip`.
    `base` is the name that they have in common, and `seen` the working tree that came out last.
    `start` is the commit that it began with. `plain`: a folder, whose repository is in the agent's home inside, and in
    the user's state here.
    """

    repository: Repository
    tree: str = ""
    branches: tuple[tuple[str, Branch], ...] = ()
    base: str = ""
    seen: str = ""
    start: str = ""
    plain: bool = False


_PARTS: dict[tuple[str, str], Part] = {}


def remember(bottle: Bottle, at: str, part: Part) -> None:
    """Note what is known of the repository at a folder of the workspace."""
    _PARTS[bottle.launch, at] = part


def parts(bottle: Bottle) -> Iterator[tuple[str, Part]]:
    """Yield folder and part, outer repositories first."""
    yield from [(at, part) for (launch, at), part in _PARTS.items() if launch == bottle.launch]


def forget(bottle: Bottle) -> None:
    """Forget a bottle, before another workspace is laid in its place."""
    for key in [key for key in _PARTS if key[0] == bottle.launch]:
        del _PARTS[key]
