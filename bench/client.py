"""A client that says how long requests take: sent into a bottle, and run beside it, word for word the same.

`client.py ADDRESS NAME REQUESTS SIZE`: to NAME at ADDRESS (`HOST:PORT`, or `proxy` for what HTTPS_PROXY names).
Prints JSON: seconds of each keep-alive request, and seconds for SIZE bytes down and up.
"""

import base64
import http.client
import json
import os
import socket
import ssl
import sys
import time
from urllib.parse import urlsplit

__all__ = ["main"]

PART = 50_000_000
"""Bytes of one request's body: the proxy reads a body whole before it goes on, and takes no larger ones than 64 MiB."""


def connect(address: str, name: str) -> http.client.HTTPSConnection:
    """Return a TLS connection, through the proxy where the address says so."""
    if address == "proxy":
        place = urlsplit(os.environ["HTTPS_PROXY"])
        sock = socket.create_connection((place.hostname, place.port), timeout=60)
        sock.sendall(f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
    else:
        host, _, port = address.rpartition(":")
        sock = socket.create_connection((host, int(port)), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = http.client.HTTPSConnection(name)
    connection.sock = ssl.create_default_context().wrap_socket(sock, server_hostname=name)
    return connection


def request(connection: http.client.HTTPSConnection, method: str, path: str, body: bytes | None = None) -> float:
    """Make a request, read its answer to the end, and return the seconds that it took."""
    buffer = bytearray(1 << 18)
    begin = time.perf_counter()
    connection.request(method, path, body)
    answer = connection.getresponse()
    while answer.readinto(buffer):
        pass
    if answer.status != http.client.OK:
        raise RuntimeError(f"{method} {path}: {answer.status}")
    return time.perf_counter() - begin


def main(address: str, name: str, requests: int, size: int) -> None:
    """Measure, and print what was found."""
    connection = connect(address, name)
    request(connection, "GET", "/")
    latencies = [request(connection, "GET", "/") for _ in range(requests)]
    down = request(connection, "GET", f"/bytes?size={size}")
    part = min(PART, size)
    body = base64.b64encode(os.urandom(part))[:part]
    up = sum(request(connection, "POST", "/", body) for _ in range(size // part))
    print(json.dumps({"latencies": latencies, "down": down, "up": up}))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
