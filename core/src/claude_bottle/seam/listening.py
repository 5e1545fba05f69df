"""A listening socket that a service answers: a thread for each client, and an end for all of them."""

import socket
import threading
from contextlib import suppress
from pathlib import Path

from claude_bottle.errors import BottleError
from claude_bottle.seam.bottle import Service

__all__ = ["CLIENTS", "Listening", "listen_at", "talk"]

CLIENTS = 32
"""Clients of one socket at a time; one more is turned away. Whoever is inside decides how many come."""


class Listening:
    """Answers the clients of a listener until it is closed. Both the listener and the service are its own."""

    def __init__(self, listener: socket.socket, service: Service) -> None:
        self._listener = listener
        self._service = service
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, name="bottle socket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Break every connection off, and close listener and service. Idempotent."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        with self._lock:
            for client in self._clients:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
        self._service.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                crowded = len(self._clients) >= CLIENTS
                if not crowded:
                    self._clients.add(client)
            if crowded:
                client.close()
            else:
                threading.Thread(target=self._talk, args=(client,), name="bottle client", daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        try:
            talk(self._service, client)
        finally:
            with self._lock:
                self._clients.discard(client)


def listen_at(path: Path, service: Service) -> Listening:
    """Answer a socket of this machine, in the place of what is there; BottleError where there can be none."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen()
    except OSError as error:
        listener.close()
        service.close()
        raise BottleError(f"{path} cannot be a socket: {error.strerror or error}") from error
    return Listening(listener, service)


def talk(service: Service, client: socket.socket) -> None:
    """Let a service talk with one client; a connection that breaks is nobody's mistake."""
    with client, suppress(OSError):
        service.serve(client)
