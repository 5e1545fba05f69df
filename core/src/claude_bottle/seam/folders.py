"""The user's folders: configuration, state, cache and what lives only while a bottle runs."""

import os
import stat
from pathlib import Path

import platformdirs

from claude_bottle.errors import BottleError

__all__ = ["cache_dir", "config_dir", "private_dir", "runtime_dir", "state_dir"]

APP = "claude-bottle"
LONGEST = 60


def config_dir() -> Path:
    """Return where `config.yaml` and the user's own `bottle.yaml` lie (not made)."""
    return Path(platformdirs.user_config_dir(APP))


def state_dir() -> Path:
    """Return where approvals and events are kept (not made)."""
    return Path(platformdirs.user_state_dir(APP))


def cache_dir() -> Path:
    """Return where things lie that can be made again (not made)."""
    return Path(platformdirs.user_cache_dir(APP))


def runtime_dir() -> Path:
    """Return where folders and sockets of running bottles lie (not made); BottleError if it is someone else's.

    `XDG_RUNTIME_DIR` where it is set, ours, and short: a socket's path holds at most 107 bytes. What lies there
    says which processes to end, so it is not even read where another user could have laid it.
    """
    given = os.environ.get("XDG_RUNTIME_DIR")
    if (
        given
        and len(os.fsencode(given)) <= LONGEST
        and os.access(given, os.W_OK)
        and Path(given).stat().st_uid == os.getuid()
    ):
        path = Path(given) / APP
    else:
        path = Path("/run", APP) if os.getuid() == 0 else Path("/tmp", f"{APP}-{os.getuid()}")  # noqa: S108 - see below
    if os.path.lexists(path):
        _check_owner(path)
    return path


def private_dir(path: Path) -> Path:
    """Make a folder that only this user can enter, and return it; BottleError if it cannot be, or is someone else's."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        cure = "see that there is room and that you may write there, or set XDG_STATE_HOME to another folder"
        raise BottleError(f"the folder {path} cannot be made: {error.strerror}", cure) from error
    if stat.S_IMODE(_check_owner(path).st_mode) != 0o700:  # noqa: PLR2004 - rwx for the owner alone
        path.chmod(0o700)
    return path


def _check_owner(path: Path) -> os.stat_result:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise BottleError(f"{path} is not a folder of yours", "remove it, or set XDG_RUNTIME_DIR and XDG_STATE_HOME")
    return found
