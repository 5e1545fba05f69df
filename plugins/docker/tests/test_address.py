"""Where the engine is looked for, and in which order; nothing of this asks an engine."""

import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bottle_docker import address as module
from bottle_docker.address import Address, Tls, find_address
from bottle_docker.labels import Mark
from bottle_docker.tunnel import read_place
from claude_bottle.errors import UnavailableError
from claude_bottle.seam.owner import Launch, Owner


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine's own socket be one that is not there."""
    monkeypatch.setattr(module, "SOCKET", str(tmp_path / "docker.sock"))


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    """Put a socket where the engine's is."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        yield tmp_path / "docker.sock"


def write_context(home: Path, name: str, host: str, *, tls: bool = False, skip: bool = False) -> None:
    """Keep a context as `docker context create` does."""
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = home / ".docker" / "contexts" / "meta" / key
    meta.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": skip}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    if tls:
        files = home / ".docker" / "contexts" / "tls" / key / "docker"
        files.mkdir(parents=True)
        for file in ("ca.pem", "cert.pem", "key.pem"):
            (files / file).write_text("")


def test_a_client_alone_is_no_engine() -> None:
    """Neither is a folder or a file where the socket would be."""
    assert find_address({"HOME": "/nowhere"}) is None


def test_a_socket_is_enough(listening: Path) -> None:
    """As the engine of most machines is."""
    assert find_address({"HOME": "/nowhere"}) == Address(f"unix://{listening}", str(listening))


def test_docker_host_comes_first(tmp_path: Path, listening: Path) -> None:
    """Before a context and before the socket, as with `docker` itself."""
    write_context(tmp_path, "far", "tcp://192.0.2.7:2375")
    environ = {"HOME": str(tmp_path), "DOCKER_CONTEXT": "far", "DOCKER_HOST": "tcp://192.0.2.9:2375"}
    assert find_address(environ) == Address("tcp://192.0.2.9:2375", "DOCKER_HOST")
    secure = find_address({**environ, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"})
    assert secure is not None
    assert secure.tls == Tls("/certs/ca.pem", ("/certs/cert.pem", "/certs/key.pem"))


def test_a_context_comes_before_the_socket(tmp_path: Path, listening: Path) -> None:
    """Named by the environment, or the current one of the configuration."""
    write_context(tmp_path, "far", "tcp://192.0.2.7:2376", tls=True, skip=True)
    found = find_address({"HOME": str(tmp_path), "DOCKER_CONTEXT": "far"})
    assert found is not None
    assert (found.url, found.source) == ("tcp://192.0.2.7:2376", "context far")
    assert found.tls is not None
    assert found.tls.verify is False
    (tmp_path / ".docker" / "config.json").write_text('{"currentContext": "far"}')
    assert find_address({"HOME": str(tmp_path)}) == found
    (tmp_path / ".docker" / "config.json").write_text('{"currentContext": "default"}')
    assert find_address({"HOME": str(tmp_path)}) == Address(f"unix://{listening}", str(listening))


def test_a_context_that_is_not_there_is_an_error(tmp_path: Path, listening: Path) -> None:
    """Never silently another engine."""
    with pytest.raises(UnavailableError, match="no docker context nowhere"):
        find_address({"HOME": str(tmp_path), "DOCKER_CONTEXT": "nowhere"})


def test_an_address_of_another_kind_is_an_error() -> None:
    """Windows' pipes, or a slip of the pen."""
    with pytest.raises(UnavailableError, match="npipe is not unix, tcp or ssh"):
        find_address({"DOCKER_HOST": "npipe:////./pipe/docker_engine"})


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("ssh://far.test", (["--", "far.test"], "/var/run/docker.sock")),
        ("ssh://me@far.test:2222/", (["-l", "me", "-p", "2222", "--", "far.test"], "/var/run/docker.sock")),
        (
            "ssh://me@[2001:db8::1]/run/user/7/docker.sock",
            (["-l", "me", "--", "2001:db8::1"], "/run/user/7/docker.sock"),
        ),
        ("ssh://-oProxyCommand=x", (["--", "-oproxycommand=x"], "/var/run/docker.sock")),
    ],
)
def test_an_engine_behind_ssh_is_named_as_docker_does(url: str, place: tuple[list[str], str]) -> None:
    """With the path of its socket, where that is another; a host is never an option of ssh's."""
    assert read_place(url) == place


@pytest.mark.parametrize("url", ["ssh://", "ssh:///sock", "ssh://me:secret@far.test", "ssh://far.test:x", "ssh://[::1"])
def test_an_engine_behind_ssh_that_is_misnamed_is_an_error(url: str) -> None:
    """A password would stand in the environment and in the arguments of ssh."""
    with pytest.raises(UnavailableError) as caught:
        read_place(url)
    assert "secret" not in str(caught.value)


def test_labels_come_back_as_they_were_written() -> None:
    """By them any terminal finds a bottle, and the dead are told from the living."""
    mark = Mark.of(Launch(label="0a1b", owner=Owner.current(), detach=True), "dev", "reviewer")
    labels = mark.labels("agent")
    assert Mark.read(labels) == mark
    assert mark.ours
    assert all(key.startswith("claude-bottle.") for key in labels)


@pytest.mark.parametrize("change", [{"version": "2"}, {"pid": "x"}, {"launch": None}])
def test_labels_that_are_not_understood_are_nobodys(change: dict[str, str | None]) -> None:
    """S11: what cannot be read is never taken for dead."""
    labels = Mark.of(Launch(label="0a1b", owner=Owner.current()), "dev", "reviewer").labels("agent")
    changed = {**labels, **{f"claude-bottle.{key}": value for key, value in change.items()}}
    kept = {key: value for key, value in changed.items() if value is not None}
    assert Mark.read(kept) is None
    assert Mark.read(None) is None


def test_what_another_machine_or_user_started_is_not_ours() -> None:
    """An engine may be shared."""
    mine = Mark.of(Launch(label="0a1b", owner=Owner.current()), "dev", "reviewer")
    labels = mine.labels("agent")
    for key, value in (("machine", "another"), ("user", "4711")):
        found = Mark.read({**labels, f"claude-bottle.{key}": value})
        assert found is not None
        assert not found.ours
