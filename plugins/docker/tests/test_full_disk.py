"""A disk that is full, for real: an engine of its own on a file system that is small."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from bottle_docker.address import Address
from bottle_docker.engine import Engine
from bottle_docker.labels import LAUNCH
from bottle_docker.section import DockerSection
from claude_bottle.errors import LaunchError, UnavailableError

pytestmark = pytest.mark.slow

SIZE, BASE = "700m", "debian:bookworm-slim"


@pytest.fixture
def small(engine: Engine) -> Generator[tuple[Engine, Path]]:
    """An engine with the base image, on a file system and in a network of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system and to run an engine on it")
    if shutil.which("dockerd") is None:
        pytest.skip("needs dockerd on this machine: apt-get install docker.io")
    folder = Path(tempfile.mkdtemp(prefix="small-"))
    disk, socket = folder / "disk", folder / "sock"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "small", disk], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    words = ["--data-root", disk / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "--net", "dockerd", "--host", f"unix://{socket}", *words], stdout=log, stderr=log
        )
    try:
        with closing(wait_for(Address(f"unix://{socket}", "test"))) as other:
            copy_image(engine.address, other.address)
            yield other, disk
    finally:
        process.terminate()
        process.wait(30)
        subprocess.run(["umount", "--lazy", disk], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(address: Address) -> Engine:
    """Return the engine once it answers."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(UnavailableError):
            return Engine(address)
        time.sleep(0.2)
    pytest.skip("no second engine starts on this machine")


def copy_image(source: Address, target: Address) -> None:
    """Bring the base image from one engine to another."""
    with subprocess.Popen(["docker", "--host", source.url, "save", BASE], stdout=subprocess.PIPE) as save:
        subprocess.run(["docker", "--host", target.url, "load"], stdin=save.stdout, capture_output=True, check=True)


def fill(disk: Path) -> Path:
    """Leave no room for anything."""
    path = disk / "fill"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    return path


def test_a_full_disk_is_told_with_its_cure(
    small: tuple[Engine, Path], open_site: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launch ends with the engine's own words and what to do; nothing of it is left, and with room it runs."""
    engine, disk = small
    monkeypatch.setenv("DOCKER_HOST", engine.address.url)
    section = DockerSection(image=BASE)
    filler = fill(disk)
    full, _, label = open_site(section, "full")
    with pytest.raises(LaunchError, match="no space left on device") as failure:
        full.start({})
    assert "free some" in str(failure.value.hint)
    full.close()
    mark = f"{LAUNCH}={label}"
    assert (engine.containers(mark), engine.networks(mark)) == ([], [])
    filler.unlink()
    roomy, _, _ = open_site(section, "room")
    assert roomy.start({}).exec("echo room").stdout == b"room\n"
