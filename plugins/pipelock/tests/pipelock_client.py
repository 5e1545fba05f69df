"""An agent's side of the proxy: CONNECT, TLS and HTTP as a program inside a bottle speaks them."""

import http.client
import socket
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["Answer", "Client", "ask"]

NONE: Mapping[str, str] = MappingProxyType({})


class Answer(NamedTuple):
    """A status and a text; `at` says who gave it: the proxy at `connect`, or whoever is behind it at `request`."""

    at: str
    status: int
    body: str


class Client:
    """Speaks to the proxy at a port of this machine; `ca` (PEM) is all that it trusts."""

    def __init__(self, port: int, ca: str) -> None:
        self.port = port
        self.ca = ca

    def connect(self, host: str, port: int, headers: Mapping[str, str] = NONE) -> tuple[Answer, socket.socket]:
        """Ask for a tunnel, and return the answer and the connection."""
        connection = socket.create_connection(("127.0.0.1", self.port), 20)
        lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
            head += byte
        status = int(head.split()[1])
        length = next((int(it.split()[1]) for it in head.lower().splitlines() if it.startswith(b"content-length")), 0)
        body = b""
        while len(body) < length and (part := connection.recv(length - len(body))):
            body += part
        return Answer("connect", status, body.decode()), connection

    def https(
        self,
        host: str,
        port: int,
        target: str = "/",
        method: str = "GET",
        *,
        sni: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] = NONE,
    ) -> Answer:
        """Send a request through a tunnel, and return the answer of whoever gave one."""
        answer, connection = self.connect(host, port)
        with connection:
            if answer.status != 200:
                return answer
            with self.tls(connection, sni or host) as tls:
                return ask(tls, host, port, target, method, body=body, headers=headers)

    def tls(self, connection: socket.socket, name: str) -> ssl.SSLSocket:
        """Begin TLS inside a tunnel."""
        return ssl.create_default_context(cadata=self.ca).wrap_socket(connection, server_hostname=name)

    def http(
        self,
        host: str,
        port: int,
        target: str = "/",
        method: str = "GET",
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] = NONE,
    ) -> Answer:
        """Send a plain request to the proxy."""
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            return ask(connection, host, port, f"http://{host}:{port}{target}", method, body=body, headers=headers)

    def own(self, path: str) -> Answer:
        """Ask the proxy for something of its own."""
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            return ask(connection, "127.0.0.1", self.port, path, "GET")


def ask(
    connection: socket.socket,
    host: str,
    port: int,
    target: str,
    method: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] = NONE,
) -> Answer:
    """Send one request on a connection and read the answer; the connection stays open."""
    asking = http.client.HTTPConnection(host, port)
    asking.sock = connection
    asking.request(method, target, body, dict(headers))
    answer = asking.getresponse()
    return Answer("request", answer.status, answer.read().decode("utf-8", "replace"))
