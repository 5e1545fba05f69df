"""Everything that claude-bottle raises on purpose: one flat tree, each with a message and a hint."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct

__all__ = [
    "BottleError",
    "ClosedError",
    "DeadlineError",
    "ImageError",
    "LaunchError",
    "NameTakenError",
    "NotFoundError",
    "PluginError",
    "Problem",
    "ProblemsError",
    "ProofError",
    "UnavailableError",
    "UsageError",
    "map_exceptions",
]


class Problem(Struct, frozen=True):
    """One thing that must change before a launch can start.

    `where` names file, line and key (`bottle.yaml:17: bottles.dev.egress`), or is empty.
    """

    message: str
    hint: str | None = None
    where: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class BottleError(Exception):
    """A failure that the user can understand: what happened, and what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ProblemsError(BottleError):
    """Several problems, found in one pass and shown together."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class UsageError(BottleError):
    """The command line does not fit together (exit code 2)."""


class PluginError(BottleError):
    """A plugin cannot be used; `plugin` is its name."""

    def __init__(self, plugin: str, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.plugin = plugin


class UnavailableError(BottleError):
    """Something that a plugin needs on this machine is not there."""


class NotFoundError(BottleError):
    """No such bottle, agent, file or path inside a bottle."""


class NameTakenError(BottleError):
    """A resource's name is in use; the next candidate may be free."""


class LaunchError(BottleError):
    """A launch could not be brought up."""


class ImageError(LaunchError):
    """An image cannot be had. Core adds to its hint which flags do without."""


class ProofError(LaunchError):
    """The isolation of a bottle could not be proved, so no agent was started."""


class ClosedError(BottleError):
    """Nobody reads any more what we write, as after `| head`: a command ends without a word."""


class DeadlineError(BottleError):
    """A step did not end within its deadline."""


@contextmanager
def map_exceptions(mapping: Mapping[type[Exception], type[BottleError]], hint: str | None = None) -> Generator[None]:
    """Turn foreign exceptions into ours at the one edge where they arise.

    The first type in `mapping` that fits wins; errors that are ours already pass unchanged.
    """
    try:
        yield
    except BottleError:
        raise
    except Exception as error:
        for foreign, ours in mapping.items():
            if isinstance(error, foreign):
                raise ours(str(error) or type(error).__name__, hint) from error
        raise
