"""A process of this machine that runs beside a bottle: the proxy."""

import json
import os
import select
import socket
import stat
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path, PurePosixPath
from typing import IO

from bottle_bwrap.inside.wire import send
from claude_bottle.errors import BottleError, DeadlineError
from claude_bottle.seam.bottle import ExecResult
from claude_bottle.seam.sidecar import File, SidecarSpec, Warm

__all__ = ["ProcessSidecar", "start_sidecar", "write_files", "write_sidecar"]

KEPT = 4096  # lines of its stdout that a second reader still finds
WORDS = 4096  # bytes of the end of its stderr
GRACE = 2.0  # seconds between asking it to end and killing it

# Its stdin is the channel; the shell moves that to descriptor 3, where `Listen` says that it is, and opens its input.
ON_DESCRIPTOR_3 = ("/bin/sh", "-c", 'exec "$@" 3<&0 <"$0"')


class ProcessSidecar:
    """One running process and our end of its descriptor 3, whose closing tells it to end."""

    def __init__(self, warm: Warm, root: Path, uid: int | None) -> None:
        self.process = warm.process
        self._channel = warm.channel
        self._root = root
        self._uid = uid
        self._kept: deque[bytes] = deque(maxlen=KEPT)
        self._count = 0
        self._part = b""
        self._lock = threading.Lock()
        self._words = b""
        self._drain = threading.Thread(target=self._listen, args=(self.process.stderr,), daemon=True)
        self._drain.start()

    def hand_over(self, listener: socket.socket) -> None:
        """Send it the listener, and say where its files are and which uid to drop to."""
        message = {"root": str(self._root), "uid": self._uid, "gid": self._uid}
        try:
            send(self._channel, json.dumps(message).encode(), [listener.fileno()])
        except OSError:
            return  # it has ended, which `wait` says better

    def lines(self, timeout: float | None = None) -> Iterator[bytes]:
        """See `seam.sidecar.Sidecar`. Of a very long output a late reader finds the last part."""
        deadline = None if timeout is None else time.monotonic() + timeout
        index = 0
        while True:
            with self._lock:
                index = max(index, self._count - len(self._kept))
                fresh = [self._kept[number] for number in range(index - self._count + len(self._kept), len(self._kept))]
                if not fresh and not self._read_more(deadline):
                    return
            index += len(fresh)
            yield from fresh

    def _read_more(self, deadline: float | None) -> bool:
        stdout = self.process.stdout
        if stdout is None or stdout.closed:
            return False
        left = None if deadline is None else 1000 * max(0.0, deadline - time.monotonic())
        poll = select.poll()
        poll.register(stdout, select.POLLIN)
        if not poll.poll(left):
            raise DeadlineError("the proxy said nothing in time")
        chunk = os.read(stdout.fileno(), 1 << 16)
        *whole, self._part = (self._part + chunk).split(b"\n")
        if not chunk and self._part:
            whole, self._part = [self._part], b""
        self._kept.extend(whole)
        self._count += len(whole)
        return bool(chunk or whole)

    def _listen(self, stream: IO[bytes] | None) -> None:
        """Read stderr to its end, so that nobody is held up by it, and keep the last of it."""
        if stream is not None:
            with stream:
                while chunk := os.read(stream.fileno(), 1 << 16):
                    self._words = (self._words + chunk)[-WORDS:]

    @property
    def last_words(self) -> str:
        """See `seam.sidecar.Sidecar`."""
        return self._words.decode("utf-8", "replace").strip().rpartition("\n")[2]

    def exec(self, argv: Sequence[str], timeout: float) -> ExecResult:
        """See `seam.sidecar.Sidecar`: a process beside it, in the site's root, with no environment."""
        try:
            done = subprocess.run(
                argv,
                check=False,
                capture_output=True,
                timeout=timeout,
                cwd=self._root,
                env={},
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise DeadlineError(f"{argv[0]} did not end within {timeout:g} seconds") from error
        return ExecResult(done.returncode, done.stdout, done.stderr)

    def wait(self, timeout: float | None = None) -> int | None:
        """See `seam.sidecar.Sidecar`."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        return code if code >= 0 else 128 - code

    def put(self, files: Sequence[File]) -> None:
        """See `seam.sidecar.Sidecar`."""
        write_files(self._root, files, self._uid)

    def get(self, name: str) -> Mapping[str, bytes]:
        """See `seam.sidecar.Sidecar`."""
        return read_files(self._root, name)

    def stop(self) -> None:
        """See `seam.sidecar.Sidecar`."""
        self._channel.close()
        if self.process.poll() is None:
            self.process.terminate()
            if self.wait(GRACE) is None:
                self.process.kill()
        self.process.wait()
        self._drain.join(GRACE)
        with self._lock:
            if self.process.stdout is not None:
                self.process.stdout.close()


def start_sidecar(spec: SidecarSpec, root: Path, uid: int | None) -> ProcessSidecar:
    """Write a sidecar's files below `root` and start it, or adopt the process that is warm already."""
    write_sidecar(spec, root, uid)
    warm = spec.warm or spawn(spec, root)
    if warm.process.stdin is not None:
        feed(warm.process.stdin, spec.stdin)
    return ProcessSidecar(warm, root, uid)


def write_sidecar(spec: SidecarSpec, root: Path, uid: int | None) -> None:
    """Make a sidecar's folders and files below `root`, and give them to `uid`."""
    for name in spec.folders:
        (root / name).mkdir(mode=0o700)
        if uid is not None:
            os.chown(root / name, uid, uid)
    write_files(root, spec.files, uid)


def feed(stream: IO[bytes], data: bytes) -> None:
    """Write what is for its standard input and close that, without waiting for it to read."""

    def write() -> None:
        with suppress(OSError), stream:  # it has ended, which `wait` says better
            stream.write(data)

    threading.Thread(target=write, name="sidecar input", daemon=True).start()


def spawn(spec: SidecarSpec, root: Path) -> Warm:
    """Start a process with its channel on descriptor 3 and nothing else of ours."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader, writer = os.pipe() if spec.stdin else (-1, -1)
    with theirs, ExitStack() as given:
        if spec.stdin:
            given.callback(os.close, reader)
        process = subprocess.Popen(
            [*ON_DESCRIPTOR_3, f"/proc/self/fd/{reader}" if spec.stdin else os.devnull, *spec.argv],
            stdin=theirs.fileno(),
            pass_fds=(reader,) if spec.stdin else (),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(spec.env),
            cwd=root,
            start_new_session=True,  # the terminal's Ctrl-C is not for it
        )
        if spec.stdin:
            process.stdin = os.fdopen(writer, "wb")
    return Warm(process, ours)


def read_files(root: Path, name: str) -> Mapping[str, bytes]:
    """Return the regular files of a folder below `root`; as above, no link in it is followed."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    found: dict[str, bytes] = {}
    try:
        folder = os.open(root / name, flags | os.O_DIRECTORY)
    except FileNotFoundError:
        return found
    try:
        for entry in os.listdir(folder):  # noqa: PTH208 - a descriptor, not a path
            with suppress(OSError), os.fdopen(os.open(entry, flags, dir_fd=folder), "rb") as file:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    found[entry] = file.read()
    finally:
        os.close(folder)
    return found


def write_files(root: Path, files: Sequence[File], uid: int | None) -> None:
    """Write files below `root`, each whole or not at all, and give them to `uid`.

    The folder belongs to the proxy, so no link in it is followed: we may be root.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    for file in files:
        parts = PurePosixPath(file.name).parts
        if not parts or ".." in parts or parts[0] == "/":
            raise BottleError(f"the file {file.name!r} leaves the site's folder")
        folder = os.open(root, flags)
        try:
            for part in parts[:-1]:
                below = open_below(folder, part, uid)
                os.close(folder)
                folder = below
            write_file(folder, parts[-1], file, uid)
        finally:
            os.close(folder)


def open_below(folder: int, name: str, uid: int | None) -> int:
    """Return an open folder in a folder, made where it is missing."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
    except FileExistsError:
        return os.open(name, flags, dir_fd=folder)
    fd = os.open(name, flags, dir_fd=folder)
    if uid is not None:
        os.fchown(fd, uid, uid)
    return fd


def write_file(folder: int, name: str, file: File, uid: int | None) -> None:
    """Write one file beside its place, then move it there."""
    part = f".{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o600, dir_fd=folder), "wb") as stream:
        stream.write(file.data)
        os.fchmod(stream.fileno(), file.mode)
        if uid is not None:
            os.fchown(stream.fileno(), uid, uid)
    os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)
