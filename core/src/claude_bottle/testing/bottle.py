"""A bottle of the kit's own backend: a folder, and the processes of this machine that were begun in it."""

import os
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Literal

import msgspec

from claude_bottle.errors import BottleError, DeadlineError, NotFoundError, UnavailableError
from claude_bottle.seam.bottle import Dial, ExecResult, Service, Sightings
from claude_bottle.seam.listening import Listening, listen_at
from claude_bottle.seam.owner import start_time
from claude_bottle.seam.tree import Entry, checked_path, read_tree, write_tree
from claude_bottle.testing.record import Record, end_all, remove

__all__ = ["LocalBottle", "dial_once"]

PLACES = ("/home/agent", "/workspace", "/tmp")
PATIENCE = 2.0


class LocalBottle:
    """See `claude_bottle.seam.bottle.Bottle`. `env` is None for whoever found it in another process's record."""

    def __init__(self, record: Record, env: Mapping[str, str] | None = None) -> None:
        self.record = record
        self.name, self.slug, self.launch = record.name, record.slug, record.launch.label
        self.folder = record.folder / "workspace"
        self._env = {} if env is None else dict(env)
        self._stands: subprocess.Popen[bytes] | None = None
        self._served: list[Listening] = []

    def begin(self) -> None:
        """Let it run: a process stands for it, which holds its environment and ends with the process that began it."""
        self.folder.mkdir()
        own = {"PATH": os.defpath, "HOME": str(self.folder), "TMPDIR": str(self.folder), "USER": "agent"}
        self._env = {**own, **self._env, **self.record.mark("bottle")}
        self._stands = subprocess.Popen(
            ["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self._env, start_new_session=True
        )
        pid = self._stands.pid
        self.record = msgspec.structs.replace(self.record, pid=pid, start=start_time(pid) or 0)
        self.record.write()

    @property
    def state(self) -> Literal["running", "stopped"]:
        """Whether its process lives."""
        return "running" if self.record.runs() else "stopped"

    def exec(
        self,
        script: str,
        *,
        argv: Sequence[str] | None = None,
        stdin: bytes | BinaryIO | None = None,
        root: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> ExecResult:
        """Run a script or a command. Its streams are files of no folder: what it leaves behind holds nobody up."""
        if script and argv:
            raise ValueError("a script or a command: one of them")
        data = stdin if isinstance(stdin, bytes) else stdin.read() if stdin else b""
        mark = {"LOCAL_COMMAND": token_hex(8)}
        with memory(os.fsencode(script)) as text, memory(data) as given, memory() as out, memory() as err:
            process = subprocess.Popen(
                shell(argv or ("/bin/sh", f"/proc/self/fd/{text.fileno()}")),
                stdin=given,
                stdout=out,
                stderr=err,
                cwd=self._place(),
                env={**self._environment(root=root), **(env or {}), **mark},
                pass_fds=(text.fileno(),),
                start_new_session=True,
            )
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired as error:
                raise DeadlineError(f"the command did not end within {timeout:g} seconds") from error
            finally:
                if process.poll() is None:
                    end_all(mark)
                    process.wait()
            written = (Path(f"/proc/self/fd/{it.fileno()}").read_bytes() for it in (out, err))
            return ExecResult(exit_code(code), *written)

    def attach(self, argv: Sequence[str], *, root: bool = False, env: Mapping[str, str] | None = None) -> int:
        """Run a command on our own streams, whatever they are: it gets no terminal of its own."""
        environment = {**self._environment(root=root), **(env or {})}
        return exit_code(subprocess.run(shell(argv), cwd=self._place(), env=environment, check=False).returncode)

    def put(self, entries: Iterable[Entry], dest: str) -> None:
        """Write a tree, inside the folder alone."""
        path = self._inside(dest)
        if path.is_symlink():
            path.unlink()
        write_tree(entries, path)

    def get(self, path: str) -> Iterator[Entry]:
        """Read a tree."""
        place = self._inside(path)
        if not os.path.lexists(place):
            raise NotFoundError(f"there is nothing at {path}")
        return read_tree(place)

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """Dial from this machine, which sees everything."""
        return Sightings(tuple(dial_once(it) for it in dials), tuple(True for _ in names))

    def serve_socket(self, path: str, service: Service) -> None:
        """Listen in the folder."""
        if self._stands is None:
            service.close()
            raise UnavailableError(f"{self.name} was launched by another process")
        try:
            place = self._inside(path)
        except BottleError:
            service.close()
            raise
        self._served.append(listen_at(place, service))

    def stop(self) -> None:
        """Ask the launch to take itself down, if that is another process, and remove what is left."""
        self.record.launch.owner.end(f"the launch of {self.name}")
        self.end()
        if self._stands is None:
            self.record.sweep()

    def end(self) -> None:
        """End whatever runs in it, close what it serves, and remove its folder. Idempotent."""
        for served in self._served:
            served.close()
        end_all(self.record.mark("bottle"))
        remove(self.folder)
        if self._stands is not None:
            self._stands.communicate()

    def _environment(self, *, root: bool) -> Mapping[str, str]:
        """Return the bottle's own, which a process of it has and no file."""
        if root:
            raise UnavailableError("there is no root in this bottle")
        if self._env:
            return self._env
        words = Path(f"/proc/{self.record.pid}/environ").read_bytes().split(b"\0")
        return dict(os.fsdecode(word).split("=", 1) for word in words if word)

    def _place(self) -> Path:
        if self.state == "stopped":
            raise NotFoundError(f"{self.name} does not run any more")
        return self.folder

    def _inside(self, path: str) -> Path:
        """Return what a path of the bottle is here; NotFoundError for one that is not in its folder."""
        checked_path(path)
        folder = self._place()
        below = next((it for it in (str(folder), *PLACES) if Path(path).is_relative_to(it)), None)
        if below is None:
            raise NotFoundError(f"{path} is not in this bottle")
        place = folder / Path(path).relative_to(below)
        if not place.parent.resolve().is_relative_to(folder.resolve()) and place != folder:
            raise BottleError(f"a link leads from {path} out of this bottle")
        return place


def shell(argv: Sequence[str]) -> list[str]:
    """Return what runs a command with no signal ignored, and says with a shell's exit code why it cannot."""
    return ["/usr/bin/env", "--default-signal", "/bin/sh", "-c", 'exec "$@"', "sh", *argv]


def exit_code(code: int) -> int:
    """Return a shell's: 128 and the number of the signal that ended a command."""
    return code if code >= 0 else 128 - code


def memory(data: bytes = b"") -> BinaryIO:
    """Return a file of no folder that holds these bytes."""
    file = os.fdopen(os.memfd_create("bottle"), "w+b")
    file.write(data)
    file.seek(0)
    return file


def dial_once(dial: Dial) -> bytes | None:
    """Connect, say it, and return the first bytes of the answer; None where no connection comes about."""
    try:
        peer = socket.create_connection((dial.host, dial.port), timeout=PATIENCE)
    except OSError:
        return None
    with peer:
        try:
            peer.sendall(dial.send)
            return peer.recv(4096)
        except OSError:
            return b""
