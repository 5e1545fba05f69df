"""What the launcher does inside without a program of the bottle: looking around, and trees in and out.

Each function runs in a child of the agent server, as the agent's uid, with stdin and stdout as its streams.
"""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import stat
import sys
import tarfile
import threading
import time
from typing import Any, Iterator  # noqa: UP035 - see wire.py

from bottle_bwrap.inside.wire import NOT_FOUND

__all__ = ["get", "look", "put"]

PATIENCE = 2.0  # seconds for one connection or one name
ANSWER = 4096  # bytes of an answer that are worth reporting
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def look(request: dict[str, Any]) -> int:
    """Write what was seen as JSON: `answers` (base64 or null) and `resolved`, in the order asked."""
    answers: list[str | None] = [None] * len(request["dials"])
    resolved = [False] * len(request["names"])

    def dial(index: int, host: str, port: int, words: str) -> None:
        answer = dialled(host, port, base64.b64decode(words))
        answers[index] = None if answer is None else base64.b64encode(answer).decode()

    def resolve(index: int, name: str) -> None:
        resolved[index] = knows(name)

    jobs = [threading.Thread(target=dial, args=(i, *what), daemon=True) for i, what in enumerate(request["dials"])]
    jobs += [threading.Thread(target=resolve, args=(i, name), daemon=True) for i, name in enumerate(request["names"])]
    deadline = time.monotonic() + PATIENCE + 0.2
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(max(0.0, deadline - time.monotonic()))
    os.write(1, json.dumps({"answers": answers, "resolved": resolved}).encode())
    return 0


def dialled(host: str, port: int, words: bytes) -> bytes | None:
    """Return the first bytes that come back from an address, None if there is no connection."""
    try:
        with socket.create_connection((host, port), timeout=PATIENCE) as connection:
            try:
                connection.sendall(words)
                return connection.recv(ANSWER)
            except OSError:
                return b""
    except OSError:
        return None


def knows(name: str) -> bool:
    """Say whether the resolver in here knows a name."""
    try:
        return bool(socket.getaddrinfo(name, None))
    except OSError:
        return False


def put(request: dict[str, Any]) -> int:
    """Lay the tar stream on stdin below `dest`; whatever link stands in the way is replaced, never followed."""
    root = os.open("/", FOLDER)
    top = [part for part in request["dest"].split("/") if part not in {"", "."}]
    modes: list[tuple[list[str], int]] = []
    os.close(make_folder(root, top))
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for info in tar:
            parts = top + [part for part in info.name.split("/") if part not in {"", "."}]
            if ".." in parts:
                raise ValueError(f"the path {info.name!r} leaves its tree")
            if info.isdir():
                os.close(make_folder(root, parts))
                modes.append((parts, info.mode))
            elif info.issym() or info.isfile():
                lay(tar, info, make_folder(root, parts[:-1]), parts[-1])
    for parts, mode in reversed(modes):  # last, so that a read-only folder can be filled
        folder = make_folder(root, parts)
        os.fchmod(folder, mode & 0o777)
        os.close(folder)
    return 0


def lay(tar: tarfile.TarFile, info: tarfile.TarInfo, folder: int, name: str) -> None:
    """Write one file or link into an open folder, in the place of what has its name."""
    try:
        clear(folder, name)
        if info.issym():
            os.symlink(info.linkname, name, dir_fd=folder)
            return
        content = tar.extractfile(info)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:  # noqa: PTH123 - a descriptor has no path
            while chunk := content.read(1 << 20) if content else b"":
                file.write(chunk)
            os.fchmod(file.fileno(), info.mode & 0o777)
    finally:
        os.close(folder)


def make_folder(root: int, parts: list[str]) -> int:
    """Return an open folder below `root`, made where it is missing; the caller closes it."""
    at = os.dup(root)
    for part in parts:
        try:
            below = os.open(part, FOLDER, dir_fd=at)
        except FileNotFoundError:
            below = -1
        except OSError:  # ENOTDIR or ELOOP: not a folder
            clear(at, part)
            below = -1
        if below < 0:
            os.mkdir(part, 0o755, dir_fd=at)
            below = os.open(part, FOLDER, dir_fd=at)
        os.close(at)
        at = below
    return at


def clear(folder: int, name: str) -> None:
    """Remove what has this name, unless it is a folder."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def get(request: dict[str, Any]) -> int:
    """Write the tree at `path` to stdout as a tar stream: folders, files and links, parents first."""
    path = request["path"].rstrip("/") or "/"
    try:
        kind = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return NOT_FOUND
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for found, name in walk(path) if stat.S_ISDIR(kind) else [(path, os.path.basename(path))]:  # noqa: PTH119
            send_entry(tar, found, name)
    sys.stdout.buffer.flush()
    return 0


def walk(top: str) -> Iterator[tuple[str, str]]:
    """Yield every path below a folder, itself first as `.`, with its name relative to it."""
    yield top, "."
    for folder, folders, files in os.walk(top, onerror=refuse):
        for name in sorted(folders + files):
            path = os.path.join(folder, name)  # noqa: PTH118 - pathlib is not imported in here
            yield path, os.path.relpath(path, top)


def refuse(error: OSError) -> None:
    """Raise what os.walk would pass over in silence."""
    raise error


def send_entry(tar: tarfile.TarFile, path: str, name: str) -> None:
    """Add one path to a tar stream; what is neither file, folder nor link is passed over."""
    found = os.lstat(path)
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(found.st_mode) & 0o777
    if stat.S_ISLNK(found.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)  # noqa: PTH115
        tar.addfile(info)
    elif stat.S_ISDIR(found.st_mode):
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    elif stat.S_ISREG(found.st_mode):
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
            info.size = os.fstat(file.fileno()).st_size
            tar.addfile(info, Exactly(file, info.size))


class Exactly(io.RawIOBase):
    """A file as long as it was when it was opened, whatever someone does to it meanwhile."""

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        self.file = file
        self.left = size

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, zeros where the file has become shorter."""
        wanted = self.left if size < 0 else min(size, self.left)
        self.left -= wanted
        return self.file.read(wanted).ljust(wanted, b"\0")
