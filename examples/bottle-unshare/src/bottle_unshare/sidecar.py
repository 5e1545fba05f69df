"""The proxy of a bottle: a process of this machine that gets the bottle's listener on its descriptor 3."""

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from claude_bottle.errors import BottleError, DeadlineError
from claude_bottle.seam.bottle import ExecResult
from claude_bottle.seam.sidecar import File, SidecarSpec, Warm
from claude_bottle.seam.tree import FileEntry, read_tree

__all__ = ["UnshareSidecar"]

GRACE = 2.0
ON_DESCRIPTOR_3 = ("/bin/sh", "-c", 'input=$1; shift; exec "$@" 3<&0 <"$input"', "sh")


class UnshareSidecar:
    """See `claude_bottle.seam.sidecar.Sidecar`."""

    def __init__(self, spec: SidecarSpec, root: Path, uid: int | None) -> None:
        self._root, self._uid = root, uid
        for folder in (root, *(root / name for name in spec.folders)):
            folder.mkdir(mode=0o700)
            self._give(folder)
        self.put(spec.files)
        self._process, self._channel = spec.warm or spawn(spec, root)
        with (
            suppress(OSError),
            self._process.stdin or nullcontext() as stdin,
        ):  # credentials, far less than a pipe holds
            _ = stdin and stdin.write(spec.stdin)
        self._lines: list[bytes] = []
        self._errors: list[bytes] = []
        self._silent = False
        self._changed = threading.Condition()
        self._readers = [threading.Thread(target=it, daemon=True) for it in (self._hear, self._hear_errors)]
        for reader in self._readers:
            reader.start()

    def hand_over(self, listener: socket.socket) -> None:
        """Send it the listener, and say where its files are and which uid to drop to."""
        words = json.dumps({"root": str(self._root), "uid": self._uid, "gid": self._uid}).encode()
        with suppress(OSError):  # it has ended, which `wait` says better
            socket.send_fds(self._channel, [words], [listener.fileno()])

    def lines(self, timeout: float | None = None) -> Iterator[bytes]:
        """Yield its stdout from the beginning."""
        deadline = None if timeout is None else time.monotonic() + timeout
        number = 0
        while True:
            with self._changed:
                left = None if deadline is None else deadline - time.monotonic()
                while not (fresh := self._lines[number:]) and not self._silent:
                    if not self._changed.wait(left):
                        raise DeadlineError("the proxy said nothing in time")
            if not fresh:
                return
            number += len(fresh)
            yield from fresh

    @property
    def last_words(self) -> str:
        """The last line of its stderr."""
        return self._errors[-1].decode("utf-8", "replace") if self._errors else ""

    def exec(self, argv: Sequence[str], timeout: float) -> ExecResult:
        """Run a command beside it."""
        try:
            done = subprocess.run(argv, cwd=self._root, env={}, timeout=timeout, capture_output=True, check=False)
        except subprocess.TimeoutExpired as error:
            raise DeadlineError(f"{argv[0]} did not end within {timeout:g} seconds") from error
        return ExecResult(done.returncode, done.stdout, done.stderr)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end."""
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(timeout)
            return code if code >= 0 else 128 - code
        return None

    def put(self, files: Sequence[File]) -> None:
        """Write files, each in one step."""
        for file in files:
            if "/" in file.name:  # the folder is the proxy's: root must follow nothing in it
                raise BottleError(f"a file of the proxy lies in its own folder, not at {file.name}")
            new = self._root.with_name("new")
            new.write_bytes(file.data)
            new.chmod(file.mode)
            self._give(new)
            new.replace(self._root / file.name)

    def get(self, name: str) -> Mapping[str, bytes]:
        """Return the files of a folder, none of them through a link."""
        if (self._root / name).is_symlink() or not (self._root / name).is_dir():
            return {}
        return {it.name: it.data for it in read_tree(self._root / name) if isinstance(it, FileEntry)}

    def stop(self) -> None:
        """Close its descriptor 3, which ends it; kill it if it does not end."""
        self._channel.close()
        self._process.terminate()
        self.wait(GRACE)
        self._process.kill()
        for reader in self._readers:
            reader.join(GRACE)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _give(self, path: Path) -> None:
        if self._uid is not None:
            os.chown(path, self._uid, self._uid)

    def _hear(self) -> None:
        for line in self._process.stdout or ():
            with self._changed:
                self._lines.append(line.rstrip(b"\n"))
                self._changed.notify_all()
        with self._changed:
            self._silent = True
            self._changed.notify_all()

    def _hear_errors(self) -> None:
        self._errors.extend(line.rstrip(b"\n") for line in self._process.stderr or ())


def spawn(spec: SidecarSpec, root: Path) -> Warm:
    """Start a process with its channel on descriptor 3 and nothing else of ours."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader, writer = os.pipe()
    with theirs, os.fdopen(reader, "rb"):
        process = subprocess.Popen(
            [*ON_DESCRIPTOR_3, f"/proc/self/fd/{reader}", *spec.argv],
            stdin=theirs.fileno(),
            pass_fds=(reader,),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(spec.env),
            cwd=root,
            start_new_session=True,
        )
    process.stdin = os.fdopen(writer, "wb")
    return Warm(process, ours)
