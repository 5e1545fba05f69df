"""A unix socket of a container that is answered in this process: its clients come on one stream of the engine.

So it works wherever the engine is, and nothing of this machine is mounted. `carry.pl` listens inside, as the agent's
own user: the agent could speak in its place, and gains nothing, for it may connect anyway.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib import resources

from bottle_docker.execs import CHUNK, Place, wrapped
from bottle_docker.stream import STDERR
from claude_bottle.errors import LaunchError
from claude_bottle.seam.bottle import Service
from claude_bottle.seam.listening import CLIENTS, talk

__all__ = ["Carried"]

SCRIPT = "carry.pl"
HEAD = struct.Struct(">cII")
START = 15.0  # seconds until the socket must be there
WORDS = 4096  # bytes of what it says in the end


class Carried:
    """The socket, once it is there; LaunchError if it cannot be. The service is its own from then on."""

    def __init__(self, place: Place, path: str, service: Service) -> None:
        script = resources.files(__package__ or "").joinpath(SCRIPT).read_text(encoding="ascii")
        command = wrapped("", ("perl", "-e", script, path), None)
        exec_id = place.engine.create_exec(
            place.container, command.argv, user=place.user, stdin=True, tty=False, env=command.env, cwd="/"
        )
        self._service = service
        self._stream = place.engine.start_exec(exec_id)
        self._writing = threading.Lock()
        self._clients: dict[int, socket.socket] = {}
        self._there, self._begun, self._words = threading.Event(), False, b""
        self._thread = threading.Thread(target=self._read, name="bottle socket", daemon=True)
        self._thread.start()
        self._there.wait(START)
        if not self._begun:
            self._end()
            said = self._words.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
            raise LaunchError(f"{path} cannot be a socket in the bottle: {said or 'nothing is said of why'}")

    def close(self) -> None:
        """Break every client off, and close the service. Idempotent."""
        self._end()
        self._service.close()

    def _end(self) -> None:
        self._stream.close()
        self._thread.join(START)

    def _read(self) -> None:
        try:
            for kind, number, data in self._frames():
                self._take(kind, number, data)
        except OSError:
            pass  # closed under us
        finally:
            self._there.set()
            for client in list(self._clients.values()):
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def _frames(self) -> Iterator[tuple[bytes, int, bytes]]:
        """Yield kind, client and data of each frame; ends at one that cannot be."""
        rest = b""
        for piece in self._stream.frames():
            if piece.stream == STDERR:
                self._words = (self._words + piece.data)[-WORDS:]
                continue
            rest += piece.data
            while len(rest) >= HEAD.size:
                kind, number, size = HEAD.unpack_from(rest)
                if size > CHUNK:
                    return
                if len(rest) < HEAD.size + size:
                    break
                yield kind, number, rest[HEAD.size : HEAD.size + size]
                rest = rest[HEAD.size + size :]

    def _take(self, kind: bytes, number: int, data: bytes) -> None:
        client = self._clients.get(number)
        if number == 0:
            self._begun = True
            self._there.set()
        elif kind == b"o" and client is None:
            self._open(number)
        elif client is not None:
            with suppress(OSError):  # the service has had enough
                if kind == b"d":
                    client.sendall(data)
                else:
                    client.shutdown(socket.SHUT_WR)

    def _open(self, number: int) -> None:
        if len(self._clients) >= CLIENTS:
            self._send(b"e", number)
            return
        ours, theirs = socket.socketpair()
        self._clients[number] = ours
        threading.Thread(target=talk, args=(self._service, theirs), name="bottle client", daemon=True).start()
        threading.Thread(target=self._return, args=(number, ours), name="bottle client", daemon=True).start()

    def _return(self, number: int, client: socket.socket) -> None:
        """Carry back what the service says, until it has said all."""
        with client, suppress(OSError):
            while data := client.recv(CHUNK):
                self._send(b"d", number, data)
            self._send(b"e", number)
        self._clients.pop(number, None)

    def _send(self, kind: bytes, number: int, data: bytes = b"") -> None:
        with self._writing, suppress(OSError):
            self._stream.send(HEAD.pack(kind, number, len(data)) + data)
