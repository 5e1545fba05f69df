"""The contract with pipelock's image: what we rely on, so that another version shows what breaks.

These tests run where an engine has the image; docs/pipelock.md says how to get it.
"""

import http.client
import io
import json
import os
import socket
import tarfile
import time
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from cryptography.hazmat.primitives import serialization
from docker.errors import DockerException, ImageNotFound
from docker.types import Mount
from msgspec.structs import replace

from bottle_pipelock.authority import make_authority, make_receipt_key
from bottle_pipelock.config import CA, CA_KEY, CONFIG, EVIDENCE, RECEIPT_KEY, Settings, render_config
from bottle_pipelock.events import Journal
from bottle_pipelock.section import IMAGE
from claude_bottle.seam.levels import HostRule

pytestmark = pytest.mark.pipelock
ROOT, PORT, UID = "/etc/claude-bottle", 3128, 65534
AUTHORITY = make_authority("contract")
RULES = (
    HostRule(host="api.test", level="block", plain="block", why="dlp_action"),
    HostRule(host="git.test", level="opaque", plain="block", why="manifest"),
)
SETTINGS = Settings(name="contract", port=PORT, root=ROOT, rules=RULES, action="block", certificate=CA, key=CA_KEY)
FILES = {
    CONFIG: render_config(SETTINGS),
    CA: AUTHORITY.certificate,
    CA_KEY: AUTHORITY.key,
    RECEIPT_KEY: make_receipt_key(),
}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """An engine that has the image."""
    try:
        engine: Any = docker.from_env()
        engine.images.get(IMAGE)
    except ImageNotFound:
        pytest.skip(f"the engine has no {IMAGE}: docker pull it")
    except DockerException as error:
        pytest.skip(f"needs a docker engine: {error}")
    yield engine
    engine.close()


class Program:
    """A container of the image with files below its root."""

    def __init__(self, client: Any, argv: tuple[str, ...], files: dict[str, bytes], mode: int = 0o600) -> None:
        self.container = client.containers.create(
            IMAGE,
            list(argv),
            user=f"{UID}:{UID}",
            read_only=True,
            cap_drop=["ALL"],
            mounts=[Mount(ROOT, None)],
            environment={},
        )
        self.put(files, mode)

    def put(self, files: dict[str, bytes], mode: int = 0o600) -> None:
        """Lay files below its root."""
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            for name, content in ((EVIDENCE, None), *files.items()):
                info = tarfile.TarInfo(name)
                info.uid = info.gid = UID
                info.mode, info.size = (0o700, 0) if content is None else (mode, len(content))
                info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
                tar.addfile(info, io.BytesIO(content or b""))
        self.container.put_archive(ROOT, data.getvalue())

    def ended(self) -> tuple[int, str]:
        """Run it to its end, and return its exit code and all that it said."""
        self.container.start()
        code = self.container.wait(timeout=20)["StatusCode"]
        return code, self.container.logs().decode()

    def serve(self) -> None:
        """Start it, and wait until its own check says that it serves."""
        self.container.start()
        deadline = time.monotonic() + 20
        while self.container.exec_run(["/pipelock", "healthcheck", "--addr", f"127.0.0.1:{PORT}"]).exit_code:
            assert time.monotonic() < deadline, self.container.logs().decode()
            time.sleep(0.05)
        self.container.reload()

    @property
    def address(self) -> str:
        """Where the host finds it."""
        return self.container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]

    def line(self, **wanted: str) -> dict[str, Any]:
        """Return the last line of its log with these values, once there is one."""
        deadline = time.monotonic() + 5
        while True:
            lines = [json.loads(it) for it in self.container.logs(stderr=False).splitlines() if it.startswith(b"{")]
            found = [it for it in lines if wanted.items() <= it.items()]
            if found:
                return found[-1]
            assert time.monotonic() < deadline, (wanted, lines)
            time.sleep(0.05)

    def close(self) -> None:
        """Remove it."""
        self.container.remove(force=True, v=True)


@pytest.fixture
def program(client: Any) -> Iterator[Any]:
    """Make containers of the image that are removed at the end: `program(argv, files, mode)`."""
    made: list[Program] = []

    def begin(*argv: str, files: dict[str, bytes] | None = None, mode: int = 0o600) -> Program:
        made.append(Program(client, argv, FILES if files is None else files, mode))
        return made[-1]

    yield begin
    for it in made:
        it.close()


@pytest.fixture(scope="module")
def serving(client: Any) -> Iterator[Program]:
    """One that serves."""
    running = Program(client, ("run", "--config", f"{ROOT}/{CONFIG}"), FILES)
    running.serve()
    yield running
    running.close()


def test_the_image_is_what_it_is_called(client: Any, program: Any) -> None:
    """Its program is its entry point, by the name that we call; it is this version."""
    assert client.images.get(IMAGE).attrs["Config"]["Entrypoint"] == ["/pipelock"]
    code, said = program("version", files={}).ended()
    assert code == 0
    assert "2.3.0" in said
    assert "--config" in program("run", "--help", files={}).ended()[1]


def test_our_configuration_is_taken(program: Any) -> None:
    """Every key is known, without a private address and with one."""
    assert program("check", "--config", f"{ROOT}/{CONFIG}").ended()[0] == 0
    private = render_config(replace(SETTINGS, private_addresses=("10.0.0.0/8", "fd00::/8")))
    assert program("check", "--config", f"{ROOT}/{CONFIG}", files={**FILES, CONFIG: private}).ended()[0] == 0
    nothing = render_config(replace(SETTINGS, rules=()))
    assert program("check", "--config", f"{ROOT}/{CONFIG}", files={**FILES, CONFIG: nothing}).ended()[0] == 0


def test_an_unknown_key_is_fatal(program: Any) -> None:
    """So a key that another version renames is seen at once."""
    files = {**FILES, CONFIG: FILES[CONFIG] + b"no_such_key: 1\n"}
    code, said = program("check", "--config", f"{ROOT}/{CONFIG}", files=files).ended()
    assert code == 1
    assert "no_such_key" in said


def test_its_keys_have_their_own_forms(program: Any) -> None:
    """SEC1 and not PKCS8, and readable by nobody else."""
    key = serialization.load_pem_private_key(AUTHORITY.key, None)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = {**FILES, CA_KEY: key.private_bytes(*form)}
    code, said = program("run", "--config", f"{ROOT}/{CONFIG}", files=files).ended()
    assert (code, "use ParsePKCS8PrivateKey" in said) == (1, True)
    code, said = program("run", "--config", f"{ROOT}/{CONFIG}", mode=0o644).ended()
    assert (code, "too permissive" in said) == (1, True)


def ask(program: Program, request: str) -> bytes:
    """Send a request as an agent does, and return the answer."""
    with socket.create_connection((program.address, PORT), 10) as connection:
        connection.sendall(request.encode())
        answer = b""
        connection.settimeout(3)
        while b"\r\n\r\n" not in answer or not answer.rpartition(b"\r\n\r\n")[2]:
            chunk = connection.recv(65536)
            if not chunk:
                break
            answer += chunk
        return answer


def test_a_refused_host_is_told_as_we_read_it(serving: Program) -> None:
    """S5: 403 at CONNECT, and a line that becomes one event."""
    answer = ask(serving, "CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"CONNECT blocked: domain not in allowlist: other.test" in answer
    line = serving.line(event="blocked", scanner="allowlist", target="other.test:443")
    journal = Journal("contract")
    parsed = journal.parse(json.dumps(line).encode())
    assert parsed is not None
    (event,) = journal.of_line(parsed)
    assert (event.host, event.rule, event.fix) == ("other.test", "allowlist", "bottle allow contract other.test")
    assert abs(event.time - time.time()) < 10


def test_a_token_in_a_url_stands_in_its_log_and_not_in_the_event(serving: Program) -> None:
    """S2: that is why an event of a content scanner has no path."""
    token = "ghp_" + os.urandom(18).hex()
    answer = ask(serving, f"GET http://api.test/?token={token} HTTP/1.1\r\nHost: api.test\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ")
    line = serving.line(event="blocked", scanner="core_dlp")
    assert token in json.dumps(line)
    journal = Journal("contract")
    parsed = journal.parse(json.dumps(line).encode())
    assert parsed is not None
    (event,) = journal.of_line(parsed)
    assert token not in repr(event)
    assert (event.verdict, event.host, event.rule) == ("deny", "api.test", "dlp")


def test_management_does_not_answer_the_agent(serving: Program) -> None:
    """N15: figures are served on its own loopback; the kill switch has no token and does nothing."""
    for path in ("/metrics", "/stats"):
        connection = http.client.HTTPConnection(serving.address, PORT, timeout=5)
        connection.request("GET", path)
        assert connection.getresponse().status != 200
        connection.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((serving.address, 9091), 2)
    connection = http.client.HTTPConnection(serving.address, PORT, timeout=5)
    connection.request("POST", "/api/v1/killswitch", '{"active": true}')
    assert connection.getresponse().status != 200
    connection.close()


def test_a_host_is_added_while_it_runs_and_an_opaque_one_is_not(program: Any) -> None:
    """What it says then is what a reload waits for."""
    running = program("run", "--config", f"{ROOT}/{CONFIG}")
    running.serve()
    more = HostRule(host="more.test", level="block", plain="block", why="allow")
    running.put({CONFIG: render_config(replace(SETTINGS, rules=(*RULES, more)))})
    assert running.line(event="config_reload")["status"] == "success"
    running.put({CONFIG: render_config(replace(SETTINGS, rules=(*RULES, replace(more, level="opaque"))))})
    assert "security downgrade" in running.line(method="CONFIG_RELOAD")["error"]
