"""A proxy as a test runs it: started through the plugin's own hooks on a site that is nothing but a folder."""

import json
import os
import re
import select
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bottle_mitmproxy.plugin import Mitmproxy
from claude_bottle.errors import DeadlineError
from claude_bottle.plan.plan import EgressPlan, Plan
from claude_bottle.plan.spec import Choice
from claude_bottle.plan.spec import Upstream as UpstreamPlan
from claude_bottle.seam.bottle import ExecResult
from claude_bottle.seam.event import Event
from claude_bottle.seam.levels import DlpAction, HostRule, Level
from claude_bottle.seam.part import Injection
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import Address, File, SidecarSpec, Warm
from claude_bottle.seam.traits import Listen, Runs

SIDECAR_UID = 64123 if os.geteuid() == 0 else None
TOKEN = "ghp_" + "aB3dE6gH9k" * 3 + "123456"
"""Shaped like a GitHub token; its checksum does not hold."""


def rule(host: str, level: Level = "block", ports: tuple[int, ...] = (80, 443), raw: tuple[int, ...] = ()) -> HostRule:
    """Return a rule as a plan has it."""
    plain: DlpAction = "block" if level == "opaque" else level
    return HostRule(host=host, level=level, plain=plain, why="test", ports=ports, raw_ports=raw)


RULES = (
    rule("api.test"),
    rule("one.test"),
    rule("plain.test"),
    rule("wrong.test"),
    rule("warn.test", "warn"),
    rule("opaque.test", "opaque"),
    rule("*.wild.test"),
    rule("metadata.test"),
    rule("localhost", ports=(80, 443, 8443)),
    rule("raw.test", raw=(22,)),
)

Altered = Callable[[str], "Running"]


@dataclass
class FolderSidecar:
    """The process, its folder, and what it wrote to stdout."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    folder: Path

    def lines(self, timeout: float | None = None) -> Iterator[bytes]:
        """Yield lines as they come."""
        assert self.process.stdout
        rest = b""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if not select.select([self.process.stdout], [], [], left)[0]:
                raise DeadlineError("no line")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return
            *whole, rest = (rest + data).split(b"\n")
            yield from whole

    def exec(self, argv: Sequence[str], timeout: float) -> ExecResult:
        """Nothing runs beside it here."""
        raise NotImplementedError

    @property
    def last_words(self) -> str:
        """Nothing is kept of its stderr."""
        return ""

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code once it has ended."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def put(self, files: Sequence[File]) -> None:
        """Replace files, each at once."""
        for file in files:
            path = self.folder / f".{file.name}.new"
            path.touch(0o600)
            path.write_bytes(file.data)
            if SIDECAR_UID is not None:
                os.chown(path, SIDECAR_UID, SIDECAR_UID)
            path.rename(self.folder / file.name)

    def get(self, name: str) -> Mapping[str, bytes]:
        """Have no folders."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it and wait."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        self.channel.close()


@dataclass
class FolderSite:
    """A site without a bottle: the agent is the test."""

    folder: Path
    runs: Runs = "process"
    sidecar: FolderSidecar | None = None
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def root(self) -> str:
        """Return the folder."""
        return str(self.folder)

    @property
    def listen(self) -> Listen:
        """Return where it listens."""
        host, port = self.listener.getsockname()
        return Listen("fd", host, port)

    def run(self, spec: SidecarSpec) -> FolderSidecar:
        """Adopt the warmed process and send it its message."""
        assert isinstance(spec.warm, Warm)
        self.sidecar = FolderSidecar(spec.warm.process, spec.warm.channel, self.folder)
        if SIDECAR_UID is not None:
            os.chown(self.folder, SIDECAR_UID, SIDECAR_UID)
        self.sidecar.put(spec.files)
        assert spec.warm.process.stdin
        with spec.warm.process.stdin as stdin:
            stdin.write(spec.stdin)
        message = {"root": self.root, "uid": SIDECAR_UID, "gid": SIDECAR_UID}
        socket.send_fds(spec.warm.channel, [json.dumps(message).encode()], [self.listener.fileno()])
        self.listener.close()
        return self.sidecar

    def settle(self) -> None:
        """Nothing takes long here."""

    def witness(self) -> AbstractContextManager[Sequence[Address]]:
        """There is no bottle to look from."""
        raise NotImplementedError

    def close(self) -> None:
        """End the process."""
        if self.sidecar:
            self.sidecar.stop()


class Launch(Protocol):
    """Starts a proxy of its own for a test; the session ends it."""

    def __call__(
        self, rules: Sequence[HostRule] = ..., private: Sequence[str] = ..., upstream: UpstreamPlan = ...
    ) -> "Running":
        """Return it once it serves."""
        ...


def make_plan(
    rules: Sequence[HostRule],
    private: Sequence[str] = ("127.0.0.0/8",),
    upstream: UpstreamPlan | None = None,
    injected: Sequence[Injection] = (),
) -> Plan:
    """Return a plan of which the proxy reads the egress alone."""
    return Plan(
        agent="reviewer",
        bottle="dev",
        slug="reviewer",
        agent_plugin="shell",
        backend=Choice("folder", "test"),
        proxy=Choice("mitmproxy", "test"),
        egress=EgressPlan(
            rules=tuple(rules),
            dlp_action="block",
            private_addresses=tuple(private),
            upstream=upstream or UpstreamPlan(),
        ),
        argv=(),
        injected=tuple(injected),
    )


class Running:
    """A proxy that serves, and clients that use it."""

    def __init__(self, folder: Path, plan: Plan, secrets: Mapping[str, str] | None = None) -> None:
        impl = Mitmproxy()
        self.folder = folder
        self.site = FolderSite(folder / "root")
        self.site.folder.mkdir()
        address = self.site.listen
        self.host, self.port = address.host, address.port
        self.proxy = impl.start_proxy(plan, self.site, Secrets(secrets), impl.warm_up(plan))
        ca = self.proxy.ready(30)
        assert ca
        self.ca = folder / "bottle-ca.pem"
        self.ca.write_bytes(ca)
        self._events: list[Event] = []
        assert self.site.sidecar
        self.process = self.site.sidecar.process

    def close(self) -> None:
        """End it, and let go of everything."""
        self.site.close()
        self.proxy._reader.join(5)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - white box
        assert self.process.stdout
        self.process.stdout.close()

    # events

    def events(self, count: int = 1) -> list[Event]:
        """Return the events since the last call, once there are `count`."""
        deadline = time.monotonic() + 5
        while len(self.proxy._events) < count and time.monotonic() < deadline:  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] - white box
            time.sleep(0.01)
        taken, self.proxy._events = self.proxy._events, []  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
        return list(taken)  # pyright: ignore[reportUnknownArgumentType]

    # clients

    def curl(self, *args: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run curl through the proxy, trusting the bottle's authority alone."""
        return subprocess.run(
            ["curl", "-sS", "-m", "20", "-x", f"http://{self.host}:{self.port}", "--cacert", str(self.ca), *args],
            input=stdin,
            capture_output=True,
            check=False,
        )

    def status(self, *args: str, stdin: bytes | None = None) -> int:
        """Return the status of a curl request; of a refused CONNECT, its own; 0 if neither was answered."""
        done = self.curl("-o", os.devnull, "-w", "%{http_code} %{http_connect}", *args, stdin=stdin)
        code, connect = map(int, done.stdout.split())
        return code or (connect if connect != 200 else 0)

    @contextmanager
    def connection(self, send: bytes = b"") -> Generator[socket.socket, None, None]:
        """Connect to the proxy and send something."""
        with socket.create_connection((self.host, self.port), timeout=10) as sock:
            sock.sendall(send)
            yield sock

    @contextmanager
    def tunnel(self, target: str) -> Generator[socket.socket, None, None]:
        """Connect through an allowed tunnel."""
        with self.connection(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()) as sock:
            head = read_head(sock)
            assert head.startswith(b"HTTP/1.1 200"), head
            yield sock

    @contextmanager
    def tls(
        self, target: str, sni: str | None = None, alpn: Sequence[str] = ("http/1.1",)
    ) -> Generator[ssl.SSLSocket, None, None]:
        """Speak TLS in an allowed tunnel, with another SNI where one is given (`""`: none)."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.set_alpn_protocols(list(alpn))
        name = target.rpartition(":")[0] if sni is None else sni
        context.check_hostname = bool(name)
        with self.tunnel(target) as sock, context.wrap_socket(sock, server_hostname=name or None) as wrapped:
            yield wrapped


def read_head(sock: socket.socket) -> bytes:
    """Read up to the end of a message's head, and nothing behind it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            break
        head += byte
    return head


def read_response(sock: socket.socket) -> bytes:
    """Read one response with a length: its head and its body."""
    head = read_head(sock)
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    rest = int(length[1]) if length else 0
    body = b""
    while len(body) < rest and (part := sock.recv(rest - len(body))):
        body += part
    return head + body


def read_to_end(sock: socket.socket, seconds: float = 5) -> bytes:
    """Read until the other side closes, and fail if it does not."""
    sock.settimeout(seconds)
    data = b""
    try:
        while part := sock.recv(65536):
            data += part
    except TimeoutError:
        raise AssertionError(f"the connection is still open after {seconds} s, and said {data!r}") from None
    except (ConnectionError, ssl.SSLError):
        pass
    return data
