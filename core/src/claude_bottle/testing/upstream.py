"""What lies behind a proxy under test: an HTTPS server under several names, with an authority of its own."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from claude_bottle.plan.spec import Upstream as Behind
from claude_bottle.testing.authority import Authority

__all__ = ["ALLOWED", "OTHER", "WARN", "Upstream"]

ALLOWED, WARN, OTHER = "api.kit.test", "warn.kit.test", "other.kit.test"


class Upstream:
    """A server that answers with `hello`, below `/echo` with the request itself, and notes each as one text."""

    def __init__(self, folder: Path, address: str, port: int = 0) -> None:
        self.address = address
        self.seen: list[str] = []
        self.ca = folder / "authority.pem"
        handler = type("Handler", (Handler,), {"seen": self.seen})
        self._server = ThreadingHTTPServer((address, port), handler)
        authority = Authority("conformance kit authority")
        self.ca.write_bytes(authority.pem)
        context = authority.context((ALLOWED, WARN, OTHER))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def behind(self) -> Behind:
        """What a user's configuration would say of it."""
        place = f"{self.address}:{self._server.server_port}"
        return Behind(ca=(str(self.ca),), hosts=tuple((name, place) for name in (ALLOWED, WARN, OTHER)))

    def got(self, text: str) -> bool:
        """Whether some request that arrived holds a text."""
        return any(text in it for it in self.seen)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers every request."""

    seen: ClassVar[list[str]]
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Note it and answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("latin-1")
        self.seen.append(f"{self.command} {self.path}\n{self.headers}{body}")
        hello = f"hello from {self.headers['Host']}\n"
        answer = (self.seen[-1] if self.path.startswith("/echo") else hello).encode("latin-1")
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = do_GET  # noqa: N815 - the names that the standard library calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
