"""A container beside a bottle: the proxy, the only one on both of the bottle's networks."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import PurePosixPath
from typing import NamedTuple

from bottle_docker.archive import pack_archive
from bottle_docker.engine import Engine
from bottle_docker.execs import Command, Place, run_command
from bottle_docker.tail import Tail
from claude_bottle.errors import BottleError, NotFoundError
from claude_bottle.seam.bottle import ExecResult
from claude_bottle.seam.sidecar import File

__all__ = ["ROOT", "UID", "ContainerSidecar", "Started", "archive_of"]

ROOT = "/etc/claude-bottle"
UID = 65534
GRACE = 2.0  # seconds between asking it to end and killing it
LOST = 255  # the exit code of what the engine no longer knows


class Started(NamedTuple):
    """A sidecar that runs."""

    container: str
    tail: Tail


class ContainerSidecar:
    """A sidecar that is being started by a thread of its site."""

    def __init__(self, engine: Engine, started: "Future[Started]") -> None:
        self._engine = engine
        self._started = started

    def lines(self, timeout: float | None = None) -> Iterator[bytes]:
        """See `seam.sidecar.Sidecar`. Of a very long output a late reader finds the last part."""
        return self._started.result().tail.lines(timeout)

    @property
    def last_words(self) -> str:
        """See `seam.sidecar.Sidecar`."""
        return self._started.result().tail.last_words

    def exec(self, argv: Sequence[str], timeout: float) -> ExecResult:
        """See `seam.sidecar.Sidecar`."""
        out, err = bytearray(), bytearray()
        place = Place(self._engine, self._started.result().container)
        code = run_command(place, Command(argv), feed=None, out=out.extend, err=err.extend, timeout=timeout)
        return ExecResult(code, bytes(out), bytes(err))

    def wait(self, timeout: float | None = None) -> int | None:
        """See `seam.sidecar.Sidecar`."""
        started = self._started.result()
        if not started.tail.wait(timeout):
            return None
        try:
            code = self._engine.exit_code(started.container)
        except BottleError:  # removed, or the engine itself is gone
            return LOST
        return LOST if code is None else code

    def put(self, files: Sequence[File]) -> None:
        """See `seam.sidecar.Sidecar`."""
        self._engine.put_archive(self._started.result().container, ROOT, archive_of(files, ()))

    def get(self, name: str) -> Mapping[str, bytes]:
        """See `seam.sidecar.Sidecar`."""
        path = f"{ROOT}/{name}"
        try:
            members = list(self._engine.get_archive(self._started.result().container, path))
        except NotFoundError:
            return {}
        return {PurePosixPath(it.name).name: it.data for it in members if it.data is not None}

    def stop(self) -> None:
        """See `seam.sidecar.Sidecar`."""
        if self._started.cancel():
            return
        with suppress(BottleError):  # what was never started has nothing to end; what is left its site removes
            started = self._started.result()
            for signal in ("SIGTERM", "SIGKILL"):
                if not started.tail.wait(0):  # its output ends when it does, and the engine takes longer to see that
                    self._engine.kill(started.container, signal)
                    started.tail.wait(GRACE)


def archive_of(files: Sequence[File], folders: Sequence[str]) -> bytes:
    """Return files and folders, owned by the sidecar's uid, as an archive for its root."""
    above = {str(it) for file in files for it in PurePosixPath(file.name).parents} - {"."}
    members = [(name, None, 0o700, UID) for name in sorted(above | set(folders))]
    return pack_archive([(".", None, 0o700, UID), *members, *((it.name, it.data, it.mode, UID) for it in files)])
