"""An engine that dies under a launch or a bottle: what is said, and that what is left is found once it answers."""

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bottle_docker.address import Address
from bottle_docker.engine import Engine
from bottle_docker.labels import LAUNCH
from bottle_docker.site import sweep
from claude_bottle.errors import UnavailableError
from claude_bottle.seam.sidecar import SidecarSpec

BASE = "debian:bookworm-slim"


@contextmanager
def relay(address: Address, path: Path) -> Generator[threading.Event]:
    """Stand between a client and the engine, until the event is set: then every connection breaks."""
    cut = threading.Event()
    pairs: list[socket.socket] = []

    def pump(one: socket.socket, two: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                two.sendall(data)
            two.shutdown(socket.SHUT_WR)

    def accept(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = server.accept()
                pairs.append(near)
                if cut.is_set():
                    near.close()
                    continue
                far = socket.socket(socket.AF_UNIX)
                pairs.append(far)
                far.connect(address.socket or "")
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    def break_all() -> None:
        cut.wait()
        for it in pairs:
            with suppress(OSError):
                it.shutdown(socket.SHUT_RDWR)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        accepting = threading.Thread(target=accept, args=(server,), daemon=True)
        accepting.start()
        breaker = threading.Thread(target=break_all, daemon=True)
        breaker.start()
        yield cut
        cut.set()
        breaker.join()
        server.shutdown(socket.SHUT_RDWR)
        accepting.join(5)
    for it in pairs:
        it.close()


def test_an_engine_that_dies_on_the_way_is_told(
    engine: Engine, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launch fails with that, and what could not be removed is found once the engine answers again."""
    with relay(engine.address, tmp_path / "engine") as cut:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'engine'}")
        launched = start(slug="cut")
        cut.set()
        with pytest.raises(UnavailableError, match="does not answer"):
            launched.site.close()
        with pytest.raises(UnavailableError, match=r"does not answer|broke off"):
            launched.bottle.exec("true")
        assert launched.sidecar.wait(5) == 255
    assert len(engine.containers(f"{LAUNCH}={launched.label}")) == 2
    launched.site._engine = engine
    sweep(engine, launched.label)


@pytest.mark.parametrize("call", ["create_network", "create", "put_archive", "attach", "start"])
def test_an_engine_that_dies_during_a_launch_is_told(
    engine: Engine, open_site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Wherever it is then; whoever ends the launch is told too, and the next `cleanup` finds what is left."""
    with relay(engine.address, tmp_path / "engine") as cut:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'engine'}")
        whole = getattr(Engine, call)

        def last(self: Engine, *given: Any, **named: Any) -> Any:
            cut.set()
            return whole(self, *given, **named)

        opened, _, label = open_site(slug="dying")
        monkeypatch.setattr(Engine, call, last)
        opened.run(SidecarSpec(argv=("/bin/sleep", "60"), image=BASE))
        with pytest.raises(UnavailableError, match=r"does not answer|broke off"):
            opened.start({})
        with pytest.raises(UnavailableError, match="does not answer"):
            opened.close()
    opened._engine = engine

    def swept() -> bool:
        sweep(engine, label)
        mark = f"{LAUNCH}={label}"
        return not [*engine.containers(mark), *engine.networks(mark), *engine.volumes(mark)]

    end = time.monotonic() + 40
    while not swept():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_container_that_comes_while_its_launch_is_swept_goes_too(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N14: an engine may make what was asked for after its client is dead, and then its volume is in use."""
    label = f"late{time.monotonic_ns()}"
    volume = {"Type": "volume", "Target": "/late", "VolumeOptions": {"Labels": {LAUNCH: label}}}
    body = {"Image": BASE, "Labels": {LAUNCH: label}, "HostConfig": {"Mounts": [volume], "NetworkMode": "none"}}
    engine.create(f"claude-bottle-{label}", body)
    containers, asked = engine.containers, list[str]()

    def late(wanted: str, *, stopped: bool = True) -> list[Any]:
        asked.append(wanted)
        return containers(wanted, stopped=stopped) if len(asked) > 1 else []

    monkeypatch.setattr(engine, "containers", late)
    sweep(engine, label)
    assert (containers(f"{LAUNCH}={label}"), engine.volumes(f"{LAUNCH}={label}")) == ([], [])
