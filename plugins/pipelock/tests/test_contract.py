"""What we rely on in pipelock 2.3.0, so that an upgrade shows what breaks."""

import contextlib
import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from pipelock_site import Running, inspect_image, rule
from pipelock_upstream import Upstream

from bottle_pipelock.authority import make_authority, make_receipt_key
from bottle_pipelock.config import Settings, make_config
from bottle_pipelock.render import render
from bottle_pipelock.section import IMAGE
from claude_bottle.seam.levels import HostRule

pytestmark = pytest.mark.pipelock

Start = Callable[[Sequence[HostRule]], Running]


class Folder:
    """A folder with everything that pipelock is started with, of which a test changes one thing."""

    def __init__(self, path: Path, program: Path) -> None:
        self.path = path
        self.program = program
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port: int = taken.getsockname()[1]
        settings = Settings(
            name="demo",
            root=str(path),
            port=self.port,
            rules=(rule("api.test"), rule("opaque.test", "opaque"), rule("*.wild.test")),
            private_addresses=("127.0.0.0/8",),
            certificate="ca.pem",
            key="ca-key.pem",
        )
        self.config: Any = make_config(settings)
        authority = make_authority("demo")
        for name, data in {
            "ca.pem": authority.certificate,
            "ca-key.pem": authority.key,
            "receipt.key": make_receipt_key(),
        }.items():
            (path / name).touch(0o600)
            (path / name).write_bytes(data)
        (path / "evidence").mkdir()

    def write(self) -> str:
        """Write the configuration and return its path."""
        file = self.path / "pipelock.yaml"
        file.touch(0o600)
        file.write_bytes(render(self.config))
        return str(file)

    def check(self) -> subprocess.CompletedProcess[str]:
        """Let pipelock judge the configuration without running."""
        return self._call("check", "-c", self.write())

    def refused(self) -> str:
        """Run it, and return what it says as it ends by itself."""
        done = self._call("run", "-c", self.write())
        assert done.returncode == 1, done.stdout
        return done.stderr

    def _call(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *argv], check=False, capture_output=True, text=True, timeout=20, env={"HOME": str(self.path)}
        )

    @contextlib.contextmanager
    def running(self) -> Generator[subprocess.Popen[bytes]]:
        """Run it for as long as the body takes."""
        command = [self.program, "run", "-c", self.write()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}) as process:
            try:
                yield process
            finally:
                process.terminate()
                process.communicate(timeout=20)  # it has a last line to write

    def healthy(self) -> bool:
        """Ask the health command."""
        return self._call("healthcheck", "--addr", f"127.0.0.1:{self.port}").returncode == 0


@pytest.fixture
def folder(tmp_path: Path, program: Path) -> Folder:
    """Return a folder with a configuration that is accepted."""
    return Folder(tmp_path, program)


def test_the_image_has_its_program_as_entry_point() -> None:
    """The program's path, the port, and a shell-less image whose user and command we replace."""
    image = inspect_image()
    if image is None:
        pytest.skip(f"needs the image {IMAGE}")
    assert image["Config"]["Entrypoint"] == ["/pipelock"]
    assert "8888/tcp" in image["Config"]["ExposedPorts"]


def test_our_configuration_is_accepted(folder: Folder) -> None:
    """Every key of it is known: an unknown one is fatal."""
    done = folder.check()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("section", [None, "fetch_proxy", "tls_interception", "request_body_scanning", "ssrf"])
def test_an_unknown_key_is_fatal(folder: Folder, section: str | None) -> None:
    """So a configuration belongs to one version."""
    (folder.config[section] if section else folder.config)["not_a_key"] = 1
    assert folder.check().returncode == 1


def test_an_empty_allowlist_is_fatal(folder: Folder) -> None:
    """Which is why a name stands in for it."""
    folder.config["api_allowlist"] = []
    assert "api_allowlist" in folder.refused()


def test_a_key_that_others_may_read_is_refused(folder: Folder) -> None:
    """It is put with mode 0600."""
    (folder.path / "ca-key.pem").chmod(0o644)
    assert "too permissive" in folder.refused()


def test_no_other_form_of_a_key_is_read(folder: Folder) -> None:
    """PKCS #8, which is cryptography's usual one, ends it; `check` does not see that."""
    path = folder.path / "ca-key.pem"
    key = load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert folder.check().returncode == 0
    assert "ParsePKCS8PrivateKey" in folder.refused()


def test_evidence_needs_its_folder_and_key(folder: Folder) -> None:
    """Without the key almost nothing would be recorded, so it must not start."""
    (folder.path / "receipt.key").unlink()
    assert folder.refused()


def test_health_and_log_are_what_we_read(folder: Folder) -> None:
    """Healthy within seconds, one JSON object a line on stdout, `startup` first."""
    with folder.running() as process:
        deadline = time.monotonic() + 20
        while not folder.healthy():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert process.stdout
        first = json.loads(process.stdout.readline())
    assert (first["event"], first["version"], first["mode"]) == ("startup", "2.3.0", "strict")
    assert process.returncode in {0, -15}
    assert not folder.healthy()


def test_an_http1_tunnel_is_closed_without_notice(start: Start, tls: Upstream) -> None:
    """A limit that `docs/pipelock.md` names; when this fails, the docs and the traits can lose it."""
    running = start([rule("api.test")])
    _, connection = running.client.connect("api.test", tls.port)
    with connection, running.client.tls(connection, "api.test") as opened:
        asking = http.client.HTTPConnection("api.test", tls.port)
        asking.sock, asking.auto_open = opened, 0
        asking.request("GET", "/1")
        answer = asking.getresponse()
        answer.read()
        assert (answer.status, answer.version, answer.getheader("connection")) == (200, 11, None)
        with pytest.raises(OSError, match=r"closed|EOF|reset|Broken pipe"):
            ask_again(asking)


def ask_again(asking: http.client.HTTPConnection) -> None:
    """Send more requests on a connection that nobody said would be closed."""
    for number in range(20):
        asking.request("GET", f"/{number}")
        asking.getresponse().read()


def test_ports_are_not_held(start: Start) -> None:
    """A limit that the traits name: an allowed host is dialled at any port."""
    running = start([rule("api.test")])
    with socket.create_server(("127.0.0.1", 0)) as other:
        answer, connection = running.client.connect("api.test", other.getsockname()[1])
        connection.close()
    assert answer.status == 200


def test_what_is_neither_tls_nor_http_passes_where_nothing_is_opened(start: Start) -> None:
    """SSH goes through CONNECT to an opaque host."""
    running = start([rule("opaque.test", "opaque", raw=(22,))])
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer, connection = running.client.connect("opaque.test", server.getsockname()[1])
        assert answer.status == 200
        with connection:
            server.settimeout(10)
            connection.sendall(b"SSH-2.0-test\r\n")
            accepted, _ = server.accept()
            with accepted:
                assert accepted.recv(100) == b"SSH-2.0-test\r\n"
                accepted.sendall(b"SSH-2.0-server\r\n")
                assert connection.recv(100) == b"SSH-2.0-server\r\n"
