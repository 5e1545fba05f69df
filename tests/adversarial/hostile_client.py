"""A client that writes what no library would, for use inside a bottle: the standard library alone.

Its argument is a JSON object: `host`, and `requests`, each either `{"h1": TEXT}` or `{"h2": FIELDS, "body": TEXT,
"trailers": FIELDS}`, where FIELDS are pairs, and all text stands for bytes (Latin-1). It writes the list of status
codes, null where there was none.
"""

import json
import re
import socket
import ssl
import struct
import sys
from collections.abc import Iterable, Mapping
from typing import Any

PROXY = ("127.0.0.1", 3128)
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4

# RFC 7541: statuses of the static table, and Huffman's codes of the digits
INDEXED = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
DIGITS = {"00000": "0", "00001": "1", "00010": "2"} | {f"{0b011001 + n:06b}": str(3 + n) for n in range(7)}


def tunnel(host: str, protocol: str) -> ssl.SSLSocket:
    """Return a TLS connection through the proxy."""
    raw = socket.create_connection(PROXY, 10)
    raw.sendall(f"CONNECT {host}:443 HTTP/1.1\r\n\r\n".encode())
    raw.recv(4096)
    context = ssl.create_default_context()
    context.set_alpn_protocols([protocol])
    connection = context.wrap_socket(raw, server_hostname=host)
    connection.settimeout(5)
    return connection


def frame(kind: int, flags: int, payload: bytes, stream: int = 1) -> bytes:
    """Return an HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def block(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return fields as HPACK literals that are not indexed; each text has at most 126 bytes."""
    texts = [text.encode("latin-1") for field in fields for text in field]
    written = [bytes([len(text)]) + text for text in texts]
    return b"".join(b"\0" + name + value for name, value in zip(written[::2], written[1::2], strict=True))


def status(payload: bytes) -> int:
    """Return the status with which a header block begins."""
    at = next(at for at, byte in enumerate(payload) if byte & 0xE0 != 0x20)  # behind changes of the table's size
    if payload[at] in INDEXED:
        return INDEXED[payload[at]]
    text = payload[at + 2 : at + 2 + (payload[at + 1] & 0x7F)]
    if not payload[at + 1] & 0x80:
        return int(text)
    digits = code = ""
    for bit in "".join(f"{byte:08b}" for byte in text):
        code += bit
        if code in DIGITS:
            digits, code = digits + DIGITS[code], ""
    return int(digits)


def ask_h2(host: str, request: Mapping[str, Any]) -> int | None:
    """Send a request in HTTP/2 and return its status."""
    connection = tunnel(host, "h2")
    body, trailers = request.get("body", ""), request.get("trailers", ())
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, b"", 0))
    connection.sendall(frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), block(request["h2"])))
    if body:
        connection.sendall(frame(DATA, 0 if trailers else END_STREAM, body.encode("latin-1")))
    if trailers:
        connection.sendall(frame(HEADERS, END_HEADERS | END_STREAM, block(trailers)))
    buffer = b""
    while data := connection.recv(65536):
        buffer += data
        while len(buffer) >= 9 and len(buffer) >= 9 + (length := int.from_bytes(buffer[:3], "big")):
            if buffer[3] == HEADERS:
                return status(buffer[9:])
            buffer = buffer[9 + length :]
    return None


def ask_h1(host: str, request: Mapping[str, Any]) -> int | None:
    """Send a request in HTTP/1.1 and return its status."""
    connection = tunnel(host, "http/1.1")
    connection.sendall(request["h1"].encode("latin-1"))
    found = re.match(rb"HTTP/1\.1 (\d+) ", connection.recv(65536))
    return int(found[1]) if found else None


def ask(host: str, request: Mapping[str, Any]) -> int | None:
    """Send a request and return its status, None if the connection was closed on it."""
    try:
        return (ask_h2 if "h2" in request else ask_h1)(host, request)
    except OSError:
        return None


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    sys.stdout.write(json.dumps([ask(wanted["host"], request) for request in wanted["requests"]]))
