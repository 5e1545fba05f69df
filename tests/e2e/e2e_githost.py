"""A git host over HTTPS that asks for a password: git's own server program behind TLS, under a name of its own."""

import base64
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from claude_bottle.testing.authority import Authority

__all__ = ["GIT_HOST", "GitHost"]

GIT_HOST = "git.e2e.test"


class GitHost:
    """Serves the bare repositories below `root` to whoever knows the password of `user`.

    `seen` are the `Authorization` headers that came, "" for none.
    """

    def __init__(self, folder: Path, user: str, password: str) -> None:
        self.root = folder / "repositories"
        self.root.mkdir()
        self.seen: list[str] = []
        self.ca = folder / "git-authority.pem"
        authority = Authority("end-to-end git authority")
        self.ca.write_bytes(authority.pem)
        login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        handler = type("Handler", (Handler,), {"seen": self.seen, "root": self.root, "login": login})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        context = authority.context((GIT_HOST,))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def config(self) -> str:
        """Return a user's `config.yaml` that leads here."""
        return f"upstream:\n  ca: [{self.ca}]\n  hosts: {{{GIT_HOST}: 127.0.0.1:{self._server.server_port}}}\n"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Hands each request with the right login to `git http-backend` (CGI, RFC 3875)."""

    seen: ClassVar[list[str]]
    root: ClassVar[Path]
    login: ClassVar[str]
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        body = self._body()
        self.seen.append(self.headers.get("Authorization", ""))
        if self.seen[-1] != self.login:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.receivepack",
            "GIT_CONFIG_VALUE_0": "true",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        self.send_response(200)
        for line in head.decode().splitlines():
            name, _, value = line.partition(": ")
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815 - the name that the standard library calls

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
