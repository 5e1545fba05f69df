"""A disk that is full, for real: an engine of its own on a file system that is small."""

from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from docker_second import BASE, copy_image, second_engine

from bottle_docker.engine import Engine
from bottle_docker.labels import LAUNCH
from bottle_docker.section import DockerSection
from claude_bottle.errors import LaunchError

pytestmark = pytest.mark.slow


@pytest.fixture
def small(engine: Engine) -> Generator[tuple[Engine, Path]]:
    """An engine with the base image, on a small file system."""
    with second_engine("700m") as second:
        copy_image(engine.address, second.engine.address)
        yield second.engine, second.disk


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
