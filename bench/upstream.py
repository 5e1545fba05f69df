"""The TLS server that everything is measured against: a process of its own that speaks HTTP/1.1 with keep-alive."""

import socket
import ssl
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

__all__ = ["PAGE", "serving"]

PAGE = b"<!doctype html><title>page</title><p>A page of the benchmarks.\n"
CHUNK = bytes(1 << 18)


class Handler(BaseHTTPRequestHandler):
    """`GET /` is a page, `GET /bytes?size=N` is N zero bytes, `POST` reads a body of any size."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer with the page or with as many bytes as asked for."""
        url = urlsplit(self.path)
        size = int(parse_qs(url.query)["size"][0]) if url.path == "/bytes" else len(PAGE)
        self.begin(size)
        if url.path != "/bytes":
            self.wfile.write(PAGE)
            return
        while size:
            part = min(size, len(CHUNK))
            self.wfile.write(CHUNK[:part])
            size -= part

    def do_POST(self) -> None:
        """Read the body and answer with nothing."""
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read1(min(left, len(CHUNK))))
        self.begin(0)

    def begin(self, size: int) -> None:
        """Send the head of an answer."""
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Makes the TLS handshake in the connection's own thread."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, certificate: str, address: str, port: int) -> None:
        super().__init__((address, port), Handler)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection; its handshake happens at the first read."""
        connection, address = super().get_request()
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away is no matter here."""


@contextmanager
def serving(certificate: Path, address: str, port: int) -> Generator[int]:
    """Run the server at an address of this machine, and yield the port: the given one, or for 0 one that was free."""
    argv = [sys.executable, __file__, str(certificate), address, str(port)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


if __name__ == "__main__":
    server = Server(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    print(server.server_address[1], flush=True)
    server.serve_forever()
