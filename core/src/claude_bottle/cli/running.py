"""A running bottle as the commands find it."""

from claude_bottle.cli.installed import installed
from claude_bottle.errors import UnavailableError
from claude_bottle.launch.bottles import Listed, find_bottle
from claude_bottle.launch.record import LaunchRecord
from claude_bottle.seam.bottle import Bottle

__all__ = ["proved_bottle", "running_bottle"]


def running_bottle(name: str) -> Listed:
    """Return the bottle that a user names."""
    return find_bottle(name, installed())


def proved_bottle(name: str, ended: str = "") -> tuple[Bottle, LaunchRecord]:
    """Return the bottle that a user names, once its launch has proved its isolation; UnavailableError before that.

    `ended` is what else there is to say of one that runs no more.
    """
    listed = find_bottle(name, installed(), ended)
    if listed.record is None:
        raise UnavailableError(f"{listed.handle.name} is not up yet", "try again once bottle list shows it running")
    return listed.handle, listed.record
