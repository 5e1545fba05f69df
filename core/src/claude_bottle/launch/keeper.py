"""Keeps places of a bound folder empty as long as a bottle runs: a program of its own, for a launcher may be killed.

It reads JSON lines: the places (path, `folder` or `file`, text) and the file to remove with them; then the pid of the
bottle, once there is one. It answers each. When its input ends it waits for that process to end, and removes what it
has made and is as it was.
"""

import json
import os
import select
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

__all__ = ["Place", "make", "remove"]

Place = tuple[str, str, str]
"""Path, `folder` or `file`, and the text of a file."""


def make(places: Iterable[Place]) -> list[Place]:
    """Make what is not there and return it; OSError if one cannot be made, and then none is."""
    made: list[Place] = []
    try:
        for place in places:
            with suppress(FileExistsError):
                _make(*place)
                made.append(place)
    except OSError:
        remove(made)
        raise
    return made


def _make(path: str, kind: str, text: str) -> None:
    if kind == "folder":
        os.mkdir(path, 0o755)  # noqa: PTH102 - text as it came
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def remove(places: Iterable[Place]) -> None:
    """Remove what is as it was made: an empty folder, a file of that text."""
    for path, kind, text in reversed(list(places)):
        with suppress(OSError, UnicodeDecodeError):
            if kind == "folder":
                os.rmdir(path)  # noqa: PTH106 - as above
            elif not Path(path).is_symlink() and Path(path).read_text(encoding="utf-8") == text:
                Path(path).unlink()


def main() -> None:
    """Serve one launch."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends when its launcher does, and last
    if not (asked := sys.stdin.readline()):
        return  # killed before a word
    places, record = json.loads(asked)
    try:
        made = make(places)
    except OSError as error:
        _answer(str(error))
        made = []
    else:
        _answer("")
    try:
        if pid := sys.stdin.readline():
            _wait_for(int(pid))
    finally:
        remove(made)
        with suppress(FileNotFoundError):
            Path(record).unlink()


def _wait_for(pid: int) -> None:
    """Wait for our launcher's end, and then for a process's."""
    try:
        bottle = os.pidfd_open(pid)
    except ProcessLookupError:
        bottle = -1
    _answer("")
    sys.stdin.read()
    if bottle >= 0:
        select.select([bottle], [], [])


def _answer(error: str) -> None:
    with suppress(BrokenPipeError):  # killed, between its word and ours
        sys.stdout.write(json.dumps(error) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
