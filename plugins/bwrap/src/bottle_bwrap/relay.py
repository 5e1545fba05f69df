"""The socket in a bottle's folder by which other terminals reach the agent server of the launching process."""

import os
import socket
import threading
from pathlib import Path

from bottle_bwrap.channel import SOCKET
from bottle_bwrap.inside.wire import close_all, receive, send

__all__ = ["Relay"]


class Relay:
    """A thread that passes requests on, descriptors and all. It never sees what goes through them."""

    def __init__(self, folder: Path, control: socket.socket) -> None:
        self._control = control
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._listener.bind(f"/proc/self/fd/{fd}/{SOCKET}")
        finally:
            os.close(fd)
        (folder / SOCKET).chmod(0o600)
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._serve, name="bottle-relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more. Idempotent."""
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._thread.join()
            self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2.0)
                self._pass_on(connection)

    def _pass_on(self, connection: socket.socket) -> None:
        try:
            _, fds, _ = receive(connection)
        except (EOFError, OSError):
            return  # a look whether we are here, or a caller that went away
        try:
            send(self._control, b"request", fds)
            send(connection, b"posted")
        except OSError:
            return  # the bottle has ended: the caller sees its reply socket close
        finally:
            close_all(fds)
