"""The Internet of the end-to-end tests: HTTPS here under several names, vouched for by a CA of its own."""

import base64
import hashlib
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, NamedTuple

from claude_bottle.testing.authority import Authority

__all__ = ["ALLOWED", "AUTHORITY", "CODE", "OTHER", "Internet", "Seen"]

AUTHORITY = "end-to-end upstream authority"
ALLOWED, OTHER = "api.e2e.test", "other.e2e.test"
CODE = "code.example.com"
"""The name that README has for a host of repositories."""
NAMES = (ALLOWED, OTHER, "warn.e2e.test", "opaque.e2e.test", "deep.wild.e2e.test", CODE)
REPOSITORIES = "/team/"
"""What lies below is served by git itself."""


class Seen(NamedTuple):
    """A request that got through, with the name that the client asked for."""

    host: str
    method: str
    target: str
    headers: str
    body: bytes


class Internet:
    """Two servers, with and without TLS, under every name. `folder` is served; any other path is answered with `hello`.

    `seen` are the requests that arrived. `ports` are with and without TLS; 0 is one that is free.
    """

    def __init__(self, folder: Path, address: str = "127.0.0.1", ports: tuple[int, int] = (0, 0)) -> None:
        self.address = address
        self.seen: list[Seen] = []
        self.folder = folder / "served"
        self.folder.mkdir()
        self.ca = folder / "authority.pem"
        authority = Authority(AUTHORITY)
        self.ca.write_bytes(authority.pem)
        context = authority.context(NAMES)
        handler = type("Handler", (Handler,), {"seen": self.seen, "folder": self.folder})
        secure, plain = (ThreadingHTTPServer((address, port), handler) for port in ports)
        secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
        self._servers = (secure, plain)
        self.tls_port, self.plain_port = secure.server_port, plain.server_port
        for server in self._servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def config(self, plain: Sequence[str] = ("plain.e2e.test",)) -> str:
        """Return a user's `config.yaml` that leads here."""
        places = dict.fromkeys(NAMES, self.tls_port) | dict.fromkeys(plain, self.plain_port)
        hosts = "".join(f"    {name}: {self.address}:{port}\n" for name, port in places.items())
        return f"upstream:\n  ca: [{self.ca}]\n  hosts:\n{hosts}"

    @property
    def private(self) -> str:
        """What `private_addresses` must say for a bottle to be let here."""
        return f"{self.address}/32"

    def got(self, text: str) -> bool:
        """Whether some request that arrived holds a text."""
        return any(text in f"{it.target} {it.headers} {it.body.decode('latin-1')}" for it in self.seen)

    def close(self) -> None:
        """Stop serving."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers every request; a subclass has where they are noted and what is served."""

    seen: ClassVar[list[Seen]]
    folder: ClassVar[Path]
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.seen.append(Seen(self.headers["Host"], self.command, self.path, str(self.headers), body))
        if self.path.startswith(REPOSITORIES):
            self._git(body)
        else:
            {"/events": self._stream, "/echo": self._echo}.get(self.path, self._page)()

    do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815 - the names that the standard library calls

    def _page(self) -> None:
        status, answer = self._answer()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
        self.end_headers()
        self.wfile.write(answer)

    def _git(self, body: bytes) -> None:
        """Let git's own CGI program answer: clone, fetch, and push where the repository allows it."""
        path, _, query = self.path.partition("?")
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "yes",
            "GIT_CONFIG_COUNT": "1",  # the tests may run as root, in folders of somebody else
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], env=variables, input=body, capture_output=True, check=True)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in {**fields, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def _stream(self) -> None:
        """Send three events, half a second apart."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(3):
            self.wfile.write(f"data: {number}\n\n".encode())
            time.sleep(0.5)
        self.close_connection = True

    def _echo(self) -> None:
        """Speak WebSocket (RFC 6455), and send one short message back as it came."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        accept = hashlib.sha1(key.encode(), usedforsecurity=False).digest()
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
        self.end_headers()
        head = self.rfile.read(2)
        mask = self.rfile.read(4)
        masked = self.rfile.read(head[1] & 0x7F)
        message = bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked))
        self.wfile.write(bytes([0x81, len(message)]) + message)
        self.close_connection = True

    def _answer(self) -> tuple[int, bytes]:
        path = self.folder / self.path.partition("?")[0].lstrip("/")
        if path.is_dir() and (index := path / "index.html").is_file():
            return 200, index.read_bytes()
        if path.is_file():
            return 200, path.read_bytes()
        if self.path.startswith("/simple/"):
            return 404, b"not here\n"
        return 200, f"hello from {self.headers['Host']}\n".encode()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
