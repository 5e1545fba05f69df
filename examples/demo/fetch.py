"""What the demo uses inside where there is no curl: `curl -sv [--noproxy '*'] [-d TEXT] URL` and no more."""

# ruff: noqa: INP001 - given to a Python inside the bottle on its stdin

import os
import socket
import ssl
import sys
from typing import Any
from urllib.parse import SplitResult, urlsplit

NO_CONNECTION, NO_TUNNEL = 7, 56
"""curl's own exit codes."""


def main(words: list[str]) -> int:
    """Send one request and show its answer as curl does; returns curl's exit code."""
    url = urlsplit(words[-1])
    data = words[words.index("-d") + 1] if "-d" in words else ""
    proxy = None if "--noproxy" in words else urlsplit(os.environ["https_proxy"])
    target = _address(url)
    try:
        connection = socket.create_connection(_address(proxy) if proxy else target, timeout=10)
    except OSError as error:
        sys.stdout.write(f"curl: ({NO_CONNECTION}) Failed to connect to {target[0]} port {target[1]}: {error}\n")
        return NO_CONNECTION
    with connection:
        if proxy:
            head = _ask(connection, "CONNECT", f"{target[0]}:{target[1]}", url)
            if " 200 " not in head:
                sys.stdout.write(f"curl: ({NO_TUNNEL}) CONNECT tunnel failed\n")
                return NO_TUNNEL
        if url.scheme == "https":
            connection = ssl.create_default_context().wrap_socket(connection, server_hostname=target[0])
            _show_issuer(connection)
        with connection:
            _ask(connection, "POST" if data else "GET", url.path or "/", url, data)
            while chunk := connection.recv(65536):
                sys.stdout.write(chunk.decode("utf-8", "replace"))
    return 0


def _address(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


def _ask(connection: socket.socket, method: str, target: str, url: SplitResult, data: str = "") -> str:
    """Send a request, show the head of its answer, and return it."""
    # A tunnel is not closed after the answer to its CONNECT.
    lines = [f"{method} {target} HTTP/1.1", f"Host: {target if method == 'CONNECT' else url.netloc}"]
    if method != "CONNECT":
        lines.append("Connection: close")
    if data:
        lines.append(f"Content-Length: {len(data)}")
    connection.sendall("\r\n".join([*lines, "", data]).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
        head += byte
    text = head.decode("utf-8", "replace")
    sys.stdout.writelines(f"< {line}\n" for line in text.splitlines())
    return text


def _show_issuer(connection: ssl.SSLSocket) -> None:
    names: Any = (connection.getpeercert() or {}).get("issuer", ())
    sys.stdout.write(f"*  issuer: {'; '.join('='.join(pair) for name in names for pair in name)}\n")


sys.exit(main(sys.argv[1:]))
