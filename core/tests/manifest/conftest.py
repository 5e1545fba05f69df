"""What the tests of the manifest share: the full example, and a loader for text."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from claude_bottle.manifest.load import LoadedManifest, decode_manifest

HERE = Path(__file__).parent


@pytest.fixture
def full() -> bytes:
    """The manifest that uses every key."""
    return (HERE / "full.yaml").read_bytes()


@pytest.fixture
def load() -> Callable[[str | bytes], LoadedManifest]:
    """Return a manifest from its text, with `docker` and `bwrap` installed."""

    def read(text: str | bytes) -> LoadedManifest:
        data = text if isinstance(text, bytes) else dedent(text).encode()
        return decode_manifest(data, Path("/project/bottle.yaml"), {"docker", "bwrap"}, "bottle.yaml")

    return read
