"""A bottle that runs, for whoever has its record: the launch that made it, or any other terminal."""

import io
import json
import os
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

from claude_bottle.errors import BottleError, DeadlineError, NotFoundError, UnavailableError
from claude_bottle.seam.bottle import Dial, ExecResult, Sightings
from claude_bottle.seam.terminal import has_terminal, terminal_variables
from claude_bottle.seam.tree import Entry, checked_path, pack, unpack

from bottle_unshare.command import Copies, memory, send_in
from bottle_unshare.inside import NOT_FOUND
from bottle_unshare.record import Record
from bottle_unshare.terminal import attach_pipes, attach_terminal

__all__ = ["UnshareBottle"]


class UnshareBottle:
    """See `claude_bottle.seam.bottle.Bottle`."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self.name, self.slug, self.launch = record.name, record.slug, record.launch.label

    @property
    def state(self) -> Literal["running", "stopped"]:
        """Whether its PID 1 lives."""
        return "running" if self._record.runs() else "stopped"

    def exec(  # noqa: PLR0913 - what the seam asks for
        self,
        script: str,
        *,
        argv: Sequence[str] | None = None,
        stdin: bytes | BinaryIO | None = None,
        root: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> ExecResult:
        """Run a script or a command. Its stdin is read to the end before it begins."""
        if script and argv:
            raise ValueError("a script or a command: one of them")
        request = self._command(script, argv or (), env, root=root)
        data = stdin if isinstance(stdin, bytes) else stdin.read() if stdin else b""
        with memory(data) as file:
            process = send_in(request, stdin=file)
        written = bytearray(), bytearray()
        copies = Copies(process)
        try:
            for pipe, sink in zip((process.stdout, process.stderr), written, strict=True):
                if pipe is not None:
                    copies.out(pipe.fileno(), sink.extend)
            code = process.wait(timeout)
            copies.finish()
        except subprocess.TimeoutExpired as error:
            raise DeadlineError(f"the command did not end within {timeout:g} seconds") from error
        finally:
            process.end()
        return ExecResult(code, *map(bytes, written))

    def attach(self, argv: Sequence[str], *, root: bool = False, env: Mapping[str, str] | None = None) -> int:
        """Give a command a terminal of the bottle's own, or three pipes."""
        if not has_terminal():
            return attach_pipes(partial(send_in, self._command("", argv, env, root=root)))
        request = self._command("", argv, {**terminal_variables(), **(env or {})}, root=root)
        return attach_terminal(self._pid(), partial(send_in, {**request, "terminal": True}))

    def put(self, entries: Iterable[Entry], dest: str) -> None:
        """Lay entries below `dest`; they are all read before the first is written."""
        checked_path(dest)
        packed = io.BytesIO()
        pack(entries, packed)
        self._ask("put", packed.getvalue(), path=dest)

    def get(self, path: str) -> Iterator[Entry]:
        """Return the tree at `path`, which has come out whole."""
        checked_path(path)
        return unpack(io.BytesIO(self._ask("get", path=path)))

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """Try connections and names from inside."""
        asked = [(it.host, it.port, b64encode(it.send).decode()) for it in dials]
        seen = json.loads(self._ask("look", dials=asked, names=[*names]))
        answers = tuple(it if it is None else b64decode(it) for it in seen["answers"])
        return Sightings(answers, tuple(seen["resolved"]))

    def trust(self, pem: bytes) -> None:
        """Make programs inside believe these authorities and no others."""
        self._ask("trust", pem)

    def stop(self) -> None:
        """Ask the launch to take itself down, if that is another process, and remove what is left."""
        self._record.launch.owner.end(f"the launch of {self.name}")
        self._record.sweep()

    def _pid(self) -> int:
        if not self._record.runs():
            raise NotFoundError(f"{self.name} does not run any more")
        return self._record.pid

    def _command(
        self, script: str, argv: Sequence[str], env: Mapping[str, str] | None, *, root: bool
    ) -> Mapping[str, object]:
        """Return what `inside` needs to run it. The environment of a bottle is that of its PID 1, and nowhere else."""
        if root:
            raise UnavailableError("there is no root in this bottle")
        words = Path(f"/proc/{self._pid()}/environ").read_bytes().split(b"\0")
        own = dict(os.fsdecode(word).split("=", 1) for word in words if word)
        return {"verb": "run", "pid": self._pid(), "script": script, "argv": [*argv], "env": {**own, **(env or {})}}

    def _ask(self, verb: str, data: bytes = b"", **request: object) -> bytes:
        """Let `inside` do something that is over soon; return what it wrote."""
        with memory(data) as file:
            process = send_in({"verb": verb, "pid": self._pid(), **request}, stdin=file)
        out, err = process.communicate()
        process.end()
        if process.returncode == NOT_FOUND:
            raise NotFoundError(f"there is nothing at {request['path']} in {self.name}")
        if process.returncode:
            raise BottleError(f"{self.name}: {err.decode('utf-8', 'replace').strip() or 'it has ended'}")
        return out
