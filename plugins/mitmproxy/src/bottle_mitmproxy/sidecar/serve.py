"""The proxy at work: accepts connections, follows changes of its settings, ends when it is told to."""

import asyncio
import contextlib
import os
import signal
import socket
from typing import Protocol

from bottle_mitmproxy.settings import POLICY, Settings, SettingsError, read_settings
from bottle_mitmproxy.sidecar.handler import Handler
from bottle_mitmproxy.sidecar.office import Office
from bottle_mitmproxy.sidecar.report import Reporter

__all__ = ["Files", "Folder", "serve"]

POLL = 0.1  # seconds between two looks at the settings


class Files(Protocol):
    """The files of the proxy."""

    def changed(self, name: str) -> bytes | None:
        """Return a file's content if it was replaced since the last look, else None."""
        ...


async def serve(listener: socket.socket, office: Office, files: Files, reports: Reporter, ca: str) -> None:
    """Serve until SIGTERM or SIGINT, and report what that cuts off."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _handle(reader, writer, office)

    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    server = await asyncio.start_server(accept, sock=listener, backlog=128)
    watch = asyncio.create_task(_follow(office, files, reports))
    reports.send({"ready": True, "ca": ca})
    await ended.wait()
    watch.cancel()
    server.close()
    office.break_off()


async def _handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, office: Office) -> None:
    peer = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # asyncio does this itself, but not for MPTCP
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    handler = Handler(reader, writer, office)
    office.connections.add(handler)
    try:
        await handler.handle_client()
    finally:
        office.connections.discard(handler)


async def _follow(office: Office, files: Files, reports: Reporter) -> None:
    """Put changed settings in force; what cannot be read changes nothing.

    That is said at the second look that finds it so: at the first, the file may be half written.
    """
    pending = said = ""
    while True:
        await asyncio.sleep(POLL)
        try:
            data = files.changed(POLICY)
            if data is not None:
                settings: Settings = read_settings(data)
                office.apply(settings)
                pending = said = ""
                reports.send({"reloaded": settings.generation})
                continue
            trouble = pending
        except (OSError, SettingsError) as error:
            trouble = str(error)
        if trouble == pending != said:
            said = trouble
            reports.send({"error": f"the new {POLICY} is not in force: {said}"})
        pending = trouble


class Folder:
    """A folder that was opened while it could be, by descriptor."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._seen: dict[str, tuple[int, ...]] = {}
        os.fchdir(self._fd)

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd), "rb") as file:
            status = os.fstat(file.fileno())
            self._seen[name] = (status.st_ino, status.st_mtime_ns, status.st_size)
            return file.read()

    def changed(self, name: str) -> bytes | None:
        """Return a file's content if it is not the one that was read last, else None."""
        status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        if self._seen.get(name) == (status.st_ino, status.st_mtime_ns, status.st_size):
            return None
        return self.read(name)
