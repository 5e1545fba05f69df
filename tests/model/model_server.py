"""A model's API under its real name: an HTTPS server on this machine with an authority of its own, and what it saw."""

import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

from claude_bottle.testing.authority import Authority

__all__ = ["Answer", "ModelServer", "Request", "sse"]

AUTHORITY = "model stand-in authority"


class Request(NamedTuple):
    """A request as it arrived; header names are lower case, and `body` is what JSON it held."""

    host: str
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes


class Answer(NamedTuple):
    """A whole answer, or a stream of chunks that are sent as they come."""

    status: int
    body: dict[str, Any] | Iterator[bytes]
    headers: tuple[tuple[str, str], ...] = ()


class ModelServer:
    """Serves one API under several names; a subclass answers. `seen` are the requests in the order of their arrival.

    `ports` are with and without TLS, 0 for one that is free. `tunnels` counts connections.
    """

    names: ClassVar[tuple[str, ...]]

    def __init__(self, folder: Path, address: str = "127.0.0.1", ports: tuple[int, int] = (0, 0)) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.address = address
        self.seen: list[Request] = []
        self.ca = folder / "model-authority.pem"
        authority = Authority(AUTHORITY)
        self.ca.write_bytes(authority.pem)
        context = authority.context(self.names)
        handler = type("Handler", (Handler,), {"model": self})
        self._secure, self._plain = (ThreadingHTTPServer((address, port), handler) for port in ports)
        self._secure.socket = context.wrap_socket(self._secure.socket, server_side=True, do_handshake_on_connect=False)
        for server in (self._secure, self._plain):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), name="model", daemon=True).start()

    def config(self, plain: Sequence[str] = ()) -> str:
        """Return a user's `config.yaml` that leads here: the proxy alone trusts the authority."""
        places = dict.fromkeys(self.names, self._secure.server_port)
        places |= dict.fromkeys(plain, self._plain.server_port)
        hosts = "".join(f"    {name}: {self.address}:{port}\n" for name, port in places.items())
        return f"upstream:\n  ca: [{self.ca}]\n  hosts:\n{hosts}"

    @property
    def private(self) -> str:
        """What `private_addresses` must say for a bottle to be let here."""
        return f"{self.address}/32"

    def answer(self, request: Request) -> Answer:
        """Return what the API says; a subclass knows it."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop serving."""
        for server in (self._secure, self._plain):
            server.shutdown()
            server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Notes each request and sends the model's answer."""

    model: ClassVar[ModelServer]
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(headers.get("host", ""), self.command, self.path, headers, _json(raw), raw)
        self.model.seen.append(request)
        answer = self.model.answer(request)
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if isinstance(answer.body, dict):
            self._whole(json.dumps(answer.body).encode())
        else:
            self._stream(answer.body)

    do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815 - the names that the standard library calls

    def _whole(self, body: bytes) -> None:
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self, chunks: Iterator[bytes]) -> None:
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for chunk in chunks:
                self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except (OSError, ssl.SSLError):  # the client has gone, which is its right
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def _json(raw: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(raw)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def sse(kind: str, data: dict[str, Any]) -> bytes:
    """Return one server-sent event."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()
