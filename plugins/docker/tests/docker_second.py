"""An engine of a test's own, on a file system and in a network of its own."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from bottle_docker.address import Address
from bottle_docker.engine import Engine
from claude_bottle.errors import UnavailableError

__all__ = ["BASE", "Second", "copy_image", "second_engine"]

BASE = "debian:bookworm-slim"


class Second(NamedTuple):
    """The engine by its socket on this machine, the pid whose namespaces it has, and its file system."""

    engine: Engine
    pid: int
    disk: Path


@contextmanager
def second_engine(
    size: str, *words: str, within: Sequence[str] = ("unshare", "--net"), wire: Callable[[int], None] | None = None
) -> Generator[Second]:
    """Run an engine for a while; `words` are more arguments of it, and `within` is a command that runs it.

    `wire` is called with its pid once that has a network of its own.
    """
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system and to run an engine on it")
    if shutil.which("dockerd") is None:
        pytest.skip("needs dockerd on this machine: apt-get install docker.io")
    folder = Path(tempfile.mkdtemp(prefix="second-"))
    disk, socket = folder / "disk", folder / "sock"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "second", disk], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    places = ["--data-root", disk / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
    with (folder / "log").open("wb") as log:
        command = [*within, "dockerd", "--host", f"unix://{socket}", *places, *words]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        if wire is not None:
            while Path(f"/proc/{process.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
                time.sleep(0.02)
            wire(process.pid)
        with closing(wait_for(Address(f"unix://{socket}", "test"))) as engine:
            yield Second(engine, process.pid, disk)
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


def copy_image(source: Address, target: Address, name: str = BASE) -> None:
    """Bring an image from one engine to another."""
    with subprocess.Popen(["docker", "--host", source.url, "save", name], stdout=subprocess.PIPE) as save:
        subprocess.run(["docker", "--host", target.url, "load"], stdin=save.stdout, capture_output=True, check=True)
