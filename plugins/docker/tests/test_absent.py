"""An engine that is not there, has stopped, or is somebody else's."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bottle_docker import address
from bottle_docker.plugin import DockerBackend
from claude_bottle.errors import UnavailableError


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the socket that an engine left at the usual place when it was killed; nobody named it."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    path = tmp_path / "docker.sock"
    monkeypatch.setattr(address, "SOCKET", str(path))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return path


@pytest.fixture
def private(left: Path) -> Iterator[Path]:
    """Return a socket that only others may use."""
    if os.geteuid() == 0:
        pytest.skip("needs a plain user: root may use every socket")
    left.chmod(0)
    yield left
    left.chmod(0o700)


def test_a_stopped_engine_is_said(left: Path) -> None:
    """Its containers and networks may be there still, so that `list` and `cleanup` must not say that nothing is."""
    for hook in (DockerBackend().list_bottles, DockerBackend().plan_cleanup):
        with pytest.raises(UnavailableError, match=f"{left} does not answer: Connection refused"):
            hook()


def test_cleanup_does_not_say_that_nothing_is_left(left: Path, tmp_path: Path) -> None:
    """Of what it could not see; and it does not end as if all were well."""
    folders = {f"XDG_{name}": str(tmp_path) for name in ("CONFIG_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR")}
    command = [Path(sys.executable).with_name("bottle"), "cleanup", "--dry-run"]
    done = subprocess.run(
        command, env={**os.environ, **folders, "DOCKER_HOST": f"unix://{left}"}, capture_output=True, check=False
    )
    said = done.stderr.decode().splitlines()
    assert f"warning: docker: the engine at unix://{left} does not answer" in said[0]
    assert "nothing is left over" not in said
    assert done.returncode == 1


def test_no_engine_has_nothing(left: Path) -> None:
    """Without any sign of an engine there is nothing to list and nothing to remove."""
    left.unlink()
    assert DockerBackend().list_bottles() == ()
    assert DockerBackend().plan_cleanup().lines() == []


def test_an_engine_of_others_has_nothing_of_this_user(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may not speak to it has put nothing there; one that they named themselves is another matter."""
    assert DockerBackend().list_bottles() == ()
    assert DockerBackend().plan_cleanup().lines() == []
    monkeypatch.setenv("DOCKER_HOST", f"unix://{private}")
    with pytest.raises(UnavailableError, match="Permission denied"):
        DockerBackend().list_bottles()
