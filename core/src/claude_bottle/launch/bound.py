"""The folders of this machine that a bottle is bound to: held for it alone, kept empty where it must be, and proved."""

import fcntl
import os
import re
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import msgspec
from msgspec import Struct

from claude_bottle.errors import LaunchError, NameTakenError
from claude_bottle.launch import keeper
from claude_bottle.seam.bottle import Bottle, BoundBottle
from claude_bottle.seam.folders import private_dir, state_dir
from claude_bottle.seam.part import Mount

__all__ = ["Bound", "Leftover", "find_leftovers", "forget_bound", "prove_mounts"]

END = 15.0
"""Seconds that a keeper may take to remove what it has made, once the bottle is gone."""


class Leftover(Struct, frozen=True):
    """What a launch is bound to: the outermost folders, and what it keeps empty. Who is at it holds a lock on it."""

    roots: tuple[str, ...]
    places: tuple[keeper.Place, ...]

    def lines(self) -> list[str]:
        """Return what is still there of it."""
        return [path for path, _, _ in self.places if os.path.lexists(path)]


class Bound:
    """What one launch is bound to. `hold` before anything of it starts, `follow` its bottle, `release` at its end."""

    def __init__(self, mounts: Sequence[Mount], label: str) -> None:
        self._mounts = mounts
        self._path = _folder() / f"{label}.json"
        self._keeper: Popen[bytes] | None = None

    def hold(self) -> None:
        """Take the folders and make what is kept empty; LaunchError where another bottle has them, or all has moved."""
        with self._taken() as lock:
            argv = [sys.executable, "-I", "-S", keeper.__file__]
            self._keeper = Popen(
                argv, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd="/", pass_fds=(lock,), start_new_session=True
            )
        self._tell((_places(self._mounts), str(self._path)))
        for mount in self._mounts:
            if os.path.realpath(mount.source) != mount.source or not os.path.lexists(mount.source):
                raise LaunchError(f"{mount.source} is not what it was when the plan was made", "start it again")

    @contextmanager
    def _taken(self) -> Generator[int]:
        """Yield the descriptor of our record, whose lock says that somebody is at it."""
        found = Leftover(_roots(self._mounts), _places(self._mounts))
        folder = private_dir(private_dir(state_dir()) / "bound")
        with _locked(folder):
            for other, held in _records():
                if held and (root := _shared(found, other)):
                    raise NameTakenError(f"{root} is bound to another bottle", "stop that one, or copy the workspace")
            lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.write(lock, msgspec.json.encode(found))
        try:
            yield lock
        finally:
            os.close(lock)  # the keeper has it

    def follow(self, bottle: Bottle) -> None:
        """Name the process with which the bottle ends: nothing is removed before that, whatever becomes of us."""
        if not isinstance(bottle, BoundBottle):
            raise LaunchError(f"{bottle.name} is not bound to anything, as was asked")
        self._tell(bottle.pid)

    def _tell(self, word: object) -> None:
        process = self._keeper
        if process is None or process.stdin is None or process.stdout is None:
            raise LaunchError("nobody keeps the bound folder")
        try:
            process.stdin.write(msgspec.json.encode(word) + b"\n")
            process.stdin.flush()
            error = msgspec.json.decode(process.stdout.readline(), type=str)
        except (OSError, msgspec.DecodeError) as cause:
            raise LaunchError("what keeps the bound folder has ended") from cause
        if error:
            raise LaunchError(f"the folder cannot be bound: {error}", "make it writable, or copy the workspace")

    def release(self) -> None:
        """Give everything back, as it was."""
        if self._keeper is not None:
            self._keeper.communicate(timeout=END)


def prove_mounts(mounts: Sequence[Mount], bottle: Bottle) -> None:
    """LaunchError unless a bottle has each mount as the plan has it, and sees this machine's very folders."""
    if not mounts:
        return
    text = bottle.exec("cat /proc/self/mountinfo").stdout.decode("utf-8", "surrogateescape")
    rows = [line.split(" ") for line in text.split("\n")[:-1]]
    options = {_unescaped(row[4]): row[5].split(",") for row in rows}
    for mount in mounts:
        if ("rw" if mount.write else "ro") not in options.get(mount.target, ()):
            raise LaunchError(f"{mount.target} in {bottle.name} is not mounted as the plan has it")
    outer = [mount for mount in mounts if mount.source in _roots(mounts)]
    found = bottle.exec("", argv=("stat", "-c", "%i", *(mount.target for mount in outer))).stdout.decode().split()
    if found != [str(os.stat(mount.source).st_ino) for mount in outer]:  # noqa: PTH116 - text as it came
        raise LaunchError(f"{bottle.name} sees another machine's folder", "use an engine that runs on this machine")


def find_leftovers() -> Iterator[tuple[Leftover, Path]]:
    """Yield what launches are bound to that nobody is at any more, and its record."""
    for path in sorted(_folder().glob("*.json")):
        found, held = _read(path)
        if not held:
            yield found, path


def forget_bound(path: Path) -> None:
    """Remove what the launch of a record kept empty and nobody keeps any more, and the record."""
    found, held = _read(path)
    if not held:
        keeper.remove(found.places)
        path.unlink(missing_ok=True)


def _folder() -> Path:
    return state_dir() / "bound"


def _places(mounts: Sequence[Mount]) -> tuple[keeper.Place, ...]:
    return tuple((mount.source, mount.make, mount.text) for mount in mounts if mount.make)


def _roots(mounts: Sequence[Mount]) -> tuple[str, ...]:
    sources = [mount.source for mount in mounts]
    return tuple(it for it in sources if not any(it.startswith(f"{other}/") for other in sources))


def _shared(ours: Leftover, others: Leftover) -> str:
    """Return a folder of another bottle in which one of ours lies, or which lies in one of ours."""
    pairs = ((our, other) for our in ours.roots for other in others.roots)
    return next((other for our, other in pairs if f"{our}/".startswith(f"{other}/") or other.startswith(f"{our}/")), "")


def _records() -> Iterator[tuple[Leftover, bool]]:
    yield from (_read(path) for path in _folder().glob("*.json"))


def _read(path: Path) -> tuple[Leftover, bool]:
    """Return a record, and whether somebody is at it; one that cannot be read is nobody's."""
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = False
            except BlockingIOError:
                held = True
            return msgspec.json.decode(file.read(), type=Leftover), held
    except (OSError, msgspec.DecodeError):
        return Leftover((), ()), False


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unescaped(place: str) -> str:
    """Return a mount point as it is: the kernel writes blanks and backslashes as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), place)
