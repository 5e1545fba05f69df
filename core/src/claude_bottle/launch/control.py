"""The launcher's own socket, through which another terminal opens a host for a running bottle."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from claude_bottle.errors import BottleError, UnavailableError

__all__ = ["AllowReply", "AllowRequest", "ControlServer", "ask_launcher"]

LONGEST = 64 * 1024
PATIENCE = 15.0


class AllowRequest(Struct, frozen=True):
    """Open this host for the bottle."""

    allow: str


class AllowReply(Struct, frozen=True):
    """Whether it is open now; else why not."""

    ok: bool
    error: str = ""
    hint: str | None = None


class ControlServer:
    """Answers requests on a unix socket in a folder that this user alone can enter."""

    def __init__(self, path: Path, handle: Callable[[AllowRequest], None]) -> None:
        self._path = path
        self._handle = handle
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._socket.bind(str(path))
            path.chmod(0o600)
            self._socket.listen(8)
        except OSError:
            self._socket.close()
            raise
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(PATIENCE)
                try:
                    peer.send(msgspec.json.encode(self._answer(peer.recv(LONGEST))))
                except OSError:
                    continue

    def _answer(self, message: bytes) -> AllowReply:
        try:
            self._handle(msgspec.json.decode(message, type=AllowRequest))
        except msgspec.DecodeError as error:
            return AllowReply(ok=False, error=f"not understood: {error}")
        except BottleError as error:
            return AllowReply(ok=False, error=error.message, hint=error.hint)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's mistake is an answer, and not the end of this thread
            return AllowReply(ok=False, error=f"the proxy failed: {type(error).__name__}: {error}")
        return AllowReply(ok=True)

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)


def ask_launcher(path: Path, request: AllowRequest) -> None:
    """Send a request to a launcher and wait for its answer; BottleError with its own words if it refuses."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.settimeout(PATIENCE)
            peer.connect(str(path))
            peer.send(msgspec.json.encode(request))
            reply = msgspec.json.decode(peer.recv(LONGEST), type=AllowReply)
    except (OSError, msgspec.DecodeError) as error:
        raise UnavailableError(f"the launcher does not answer: {error}", "run bottle list to see what runs") from error
    if not reply.ok:
        raise BottleError(reply.error, reply.hint)
