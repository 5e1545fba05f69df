"""The launcher's own socket, through which other terminals reach a running bottle's launch."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from claude_bottle.errors import BottleError, UnavailableError

__all__ = [
    "AllowRequest",
    "CompareRequest",
    "ControlServer",
    "DiscardRequest",
    "PullRequest",
    "Request",
    "ask_launcher",
]

LONGEST = 64 * 1024
PATIENCE = 15.0
"""Seconds for what is answered at once; bringing work out takes as long as it takes."""


class AllowRequest(Struct, frozen=True, tag="allow"):
    """Open this host for the bottle."""

    allow: str


class PullRequest(Struct, frozen=True, tag="pull"):
    """Bring the work out; the answer is what there is to tell, by line."""


class CompareRequest(Struct, frozen=True, tag="compare"):
    """Show what would come out; the answer is that text."""


class DiscardRequest(Struct, frozen=True, tag="discard"):
    """Give the work up, so that the bottle can be removed."""


Request = AllowRequest | PullRequest | CompareRequest | DiscardRequest


class _Reply(Struct, frozen=True):
    """Whether it was done; else why not. What was answered stands in the file that came with the request."""

    ok: bool
    error: str = ""
    hint: str | None = None


class ControlServer:
    """Answers requests, each in a thread of its own, on a unix socket in a folder that this user alone can enter."""

    def __init__(self, path: Path, handle: Callable[[Request], bytes]) -> None:
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
            threading.Thread(target=self._serve_one, args=(peer,), name="control request", daemon=True).start()

    def _serve_one(self, peer: socket.socket) -> None:
        with peer:
            peer.settimeout(PATIENCE)
            try:
                message, files, _flags, _address = socket.recv_fds(peer, LONGEST, 1)
            except OSError:
                return
            try:
                reply = self._answer(message, files)
                peer.send(msgspec.json.encode(reply))
            except OSError:
                return
            finally:
                for file in files:
                    os.close(file)

    def _answer(self, message: bytes, files: list[int]) -> _Reply:
        try:
            answer = self._handle(msgspec.json.decode(message, type=Request))
            if answer and files:
                with open(files[0], "wb", closefd=False) as file:
                    file.write(answer)
        except msgspec.DecodeError as error:
            return _Reply(ok=False, error=f"not understood: {error}")
        except BottleError as error:
            return _Reply(ok=False, error=error.message, hint=error.hint)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's mistake is an answer, and not the end of this thread
            return _Reply(ok=False, error=f"the launch failed at it: {type(error).__name__}: {error}")
        return _Reply(ok=True)

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)


def ask_launcher(path: Path, request: Request, patience: float | None = PATIENCE) -> bytes:
    """Send a request to a launcher and return its answer; BottleError with its own words if it refuses.

    Without `patience` the answer is waited for as long as the launcher lives.
    """
    file = os.memfd_create("answer", os.MFD_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.settimeout(PATIENCE)
            peer.connect(str(path))
            socket.send_fds(peer, [msgspec.json.encode(request)], [file])
            peer.settimeout(patience)
            reply = msgspec.json.decode(peer.recv(LONGEST), type=_Reply)
        if not reply.ok:
            raise BottleError(reply.error, reply.hint)
        with open(file, "rb", closefd=False) as answer:
            answer.seek(0)  # the launcher has written through the same descriptor
            return answer.read()
    except (OSError, msgspec.DecodeError) as error:
        raise UnavailableError(f"the launcher does not answer: {error}", "run bottle list to see what runs") from error
    finally:
        os.close(file)
