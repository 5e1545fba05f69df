"""A supervisor: a process of its own that holds a bottle after its terminal is gone."""

import fcntl
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from claude_bottle.errors import BottleError, LaunchError
from claude_bottle.seam.folders import private_dir, state_dir

__all__ = ["Report", "dead_logs", "in_background"]

KEPT = 30 * 24 * 60 * 60.0
"""Seconds that the messages of a supervisor are kept."""

ENDED = 0o400
"""The mode of a log whose launch has ended by itself; until then it is 0600."""

Report = Callable[[str, Sequence[str]], None]
"""Called once when the bottle is up: its name, and what was said on the way."""


class _Outcome(Struct, frozen=True):
    """What the supervisor tells the command that started it."""

    name: str = ""
    said: tuple[str, ...] = ()
    error: str = ""
    hint: str | None = None


def in_background(slug: str, run: Callable[[Report], int]) -> int:
    """Run a launch in a process of its own session, and return once its bottle is up.

    Prints the bottle's name. What the supervisor has to say goes to a file of the user's state, whose
    path is shown; a failure on the way up is raised here as it was there.
    """
    folder = private_dir(log_folder())
    for path in folder.glob("*.log"):
        if time.time() - path.stat().st_mtime > KEPT:
            path.unlink(missing_ok=True)
    log = folder / f"{int(time.time())}-{slug}-{os.getpid()}.log"
    ours, theirs = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(ours)
        _become_supervisor(log)
        code = _run(run, theirs)
        os.fchmod(1, ENDED)  # by its descriptor: its name may be gone
        os._exit(code)
    os.close(theirs)
    try:
        with os.fdopen(ours, "rb") as pipe:
            message = pipe.read()
    except KeyboardInterrupt:  # its session is another one, so the terminal's Ctrl-C has not reached it
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    if not message:
        raise LaunchError("the supervisor ended before its bottle was up", f"its last words are in {log}")
    outcome = msgspec.json.decode(message, type=_Outcome)
    if outcome.error:
        raise LaunchError(outcome.error, outcome.hint)
    sys.stderr.writelines(f"{line}\n" for line in outcome.said)
    sys.stdout.write(f"{outcome.name}\n")
    sys.stdout.flush()  # before what stderr says of it
    sys.stderr.write(f"it runs until `bottle stop {outcome.name}`; messages go to {log}\n")
    return 0


def log_folder() -> Path:
    """Return the folder of all logs (not made)."""
    return state_dir() / "supervisors"


def dead_logs() -> list[Path]:
    """Return the logs of supervisors that were killed."""
    return sorted(path for path in log_folder().glob("*.log") if _is_dead(path))


def _is_dead(path: Path) -> bool:
    """Say whether a log is neither locked by a supervisor that runs, nor left by one that ended by itself."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return stat.S_IMODE(os.fstat(file.fileno()).st_mode) != ENDED
    except OSError:  # locked, or gone meanwhile
        return False


def _become_supervisor(log: Path) -> None:
    """Leave the terminal: a session of our own, no input, and output into the log (0600), locked while it is open."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    fcntl.flock(output, fcntl.LOCK_EX)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nothing)
    os.close(output)


def _run(run: Callable[[Report], int], pipe: int) -> int:
    told = False

    def tell(outcome: _Outcome) -> None:
        nonlocal told
        if not told:
            told = True
            os.write(pipe, msgspec.json.encode(outcome))
            os.close(pipe)

    try:
        code = run(lambda name, said: tell(_Outcome(name=name, said=tuple(said))))
    except BottleError as error:
        tell(_Outcome(error=error.message, hint=error.hint))
        sys.stderr.write(f"error: {error.message}\n")
        code = 1
    except Exception as error:  # noqa: BLE001 - this process ends by _exit, so nobody else would print it
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code
