"""The program of the kit's own proxy: `python -m claude_bottle.testing.gate tcp ROOT HOST PORT`, or `… fd`.

A request on each connection, TLS opened with an authority of its own, credentials by one pattern. On stdout: its
authority's certificate as a JSON string, then its decisions. It is for tests, and to be read by whoever writes one.
"""

import encodings.idna
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from functools import lru_cache
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import msgspec

from claude_bottle.seam.event import Event, Verdict
from claude_bottle.seam.levels import HostRule
from claude_bottle.testing.authority import Authority
from claude_bottle.testing.policy import POLICY, RECORD, Policy

__all__ = ["main"]

NEEDED = (encodings.idna,)
"""What is imported on its first use, when this process may be somebody whom its Python is not for any more."""

CREDENTIAL = re.compile(rb"gh[pousr]_[A-Za-z0-9]{36}")
HOP = frozenset({"connection", "content-length", "host", "keep-alive", "proxy-connection", "transfer-encoding"})


class Gate(ThreadingHTTPServer):
    """Listens for one bottle, with the policy that stands in the folder at the time of each request."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, folder: int, authority: Authority) -> None:
        super().__init__(("", 0), Asked, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.authority = authority
        self._folder = folder
        self._lock = threading.Lock()

    @property
    def policy(self) -> Policy:
        """Return what the folder says now."""
        with open(os.open(POLICY, os.O_RDONLY, dir_fd=self._folder), "rb") as file:  # noqa: PTH123 - a descriptor
            return msgspec.json.decode(file.read(), type=Policy)

    def tell(self, line: object) -> None:
        """Say something on stdout, in one line, and keep it."""
        text = msgspec.json.encode(line) + b"\n"
        with self._lock:
            os.write(1, text)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            with open(os.open(f"{RECORD}/lines", flags, 0o600, dir_fd=self._folder), "ab") as file:  # noqa: PTH123 - as above
                file.write(text)

    @lru_cache(maxsize=100)  # noqa: B019 - it lives as long as the process
    def context(self, host: str) -> ssl.SSLContext:
        """Return what answers for a host, with a certificate made for it."""
        return self.authority.context([host])


class Asked(BaseHTTPRequestHandler):
    """A request to the proxy itself: CONNECT, or one that is refused."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Gate  # pyright: ignore[reportIncompatibleVariableOverride] - it is this one

    def do_CONNECT(self) -> None:
        """Open a host that is allowed at this port."""
        host, _, port = self.path.rpartition(":")
        rule = find_rule(self.server.policy.rules, host, port)
        if rule is None:
            self.refuse(host, "allowlist", f"{host} is not allowed", f"bottle allow NAME {host}")
            return
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):
            if rule.level == "opaque":
                splice(self.connection, self.dial(host, port))
                return
            with self.server.context(host).wrap_socket(self.connection, server_side=True) as opened:
                handler = type("OpenedOne", (Opened,), {"rule": rule, "place": (host, int(port))})
                handler(opened, self.client_address, self.server)

    def do_GET(self) -> None:
        """Refuse what is not TLS."""
        self.refuse(self.path, "plain", "only TLS passes this proxy", "use https")

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the names that the standard library calls

    def dial(self, host: str, port: str) -> socket.socket:
        """Connect to where a host is for this proxy."""
        there, _, number = self.server.policy.hosts.get(host, f"{host}:{port}").rpartition(":")
        return socket.create_connection((there, int(number)), 10)

    def refuse(self, host: str, rule: str, reason: str, fix: str = "") -> None:
        """Say no, here and on record."""
        self.note("deny", host, rule=rule, reason=reason, fix=fix)
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def note(self, verdict: Verdict, host: str, **more: Any) -> None:
        """Put a decision on record."""
        self.server.tell(Event(time=time.time(), verdict=verdict, host=host, method=self.command, **more))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing on stderr."""


class Opened(Asked):
    """A request inside of TLS that was opened."""

    rule: ClassVar[HostRule]
    place: ClassVar[tuple[str, int]]

    def do_GET(self) -> None:
        """Look at it, and pass it on."""
        self.close_connection = True
        host, port = self.place
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = CREDENTIAL.search("\n".join([self.path, *self.headers.values()]).encode() + body) is not None
        if found and self.rule.level == "block":
            self.refuse(host, "dlp", "a credential was about to leave")
            return
        path = CREDENTIAL.sub(b"[redacted]", self.path.encode()).decode()
        self.note("warn" if found else "allow", host, port=port, path=path, rule="dlp" if found else "allowlist")
        context = ssl.create_default_context(cadata=self.server.policy.trusted)
        upstream = HTTPSConnection(host, port, timeout=10, context=context)
        upstream.sock = context.wrap_socket(self.dial(host, str(port)), server_hostname=host)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815 - as above


def find_rule(rules: tuple[HostRule, ...], host: str, port: str) -> HostRule | None:
    """Return the rule for a host: its own, else that of the nearest `*.` above it."""
    labels = host.lower().split(".")
    names = [host.lower(), *(".".join(["*", *labels[number:]]) for number in range(1, len(labels)))]
    found = next((rule for name in names for rule in rules if rule.host == name), None)
    return found if found and port.isdigit() and int(port) in found.ports else None


def splice(one: socket.socket, other: socket.socket) -> None:
    """Hand on bytes both ways until both have ended."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    with other:
        back = threading.Thread(target=pump, args=(other, one), daemon=True)
        back.start()
        pump(one, other)
        back.join()


def main() -> None:
    """Serve until it is killed or, with a descriptor 3, until that is closed."""
    authority = Authority("conformance kit proxy")
    authority.context(["kit.invalid"])  # imports the rest of what it needs, while that can be found
    if sys.argv[1] == "tcp":
        folder = os.open(sys.argv[2], os.O_RDONLY | os.O_DIRECTORY)
        gate = Gate(socket.create_server((sys.argv[3], int(sys.argv[4]))), folder, authority)
    else:
        channel = socket.socket(fileno=3)
        words, fds, _, _ = socket.recv_fds(channel, 4096, 1)
        where = json.loads(words)
        folder = os.open(where["root"], os.O_RDONLY | os.O_DIRECTORY)
        drop(where["uid"], where["gid"])
        gate = Gate(socket.socket(fileno=fds[0]), folder, authority)
        threading.Thread(target=lambda: channel.recv(1) or os._exit(0), daemon=True).start()
    gate.tell(gate.authority.pem.decode())
    gate.serve_forever()


def drop(uid: int | None, gid: int | None) -> None:
    """Become a uid, for good."""
    if uid is not None and gid is not None:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)


if __name__ == "__main__":
    main()
