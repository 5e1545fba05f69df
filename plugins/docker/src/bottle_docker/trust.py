"""The CA bundle of a bottle: what its image trusts, and the CA of its proxy."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from bottle_docker.archive import pack_archive
from bottle_docker.engine import Engine
from claude_bottle.errors import NotFoundError
from claude_bottle.seam.environ import BUNDLE, CA_FILE
from claude_bottle.seam.folders import cache_dir, private_dir

__all__ = ["Trust", "read_trust"]


class Trust(NamedTuple):
    """A container, and the bundle (PEM) that its image brings."""

    container: str
    bundle: bytes

    def fill(self, engine: Engine, ca: bytes) -> None:
        """Write the CA and the whole bundle into the running container's volumes.

        Nothing is run inside for it: `update-ca-certificates` takes most of a second. A later run of that finds the
        CA where it looks for it, and keeps it.
        """
        for path, data in ((CA_FILE, ca), (BUNDLE, self.bundle + b"\n" + ca)):
            folder, _, name = path.rpartition("/")
            engine.put_archive(self.container, folder, pack_archive([(name, data, 0o644, 0)]))


def read_trust(engine: Engine, container: str, image: str) -> Trust:
    """Return the bundle of a container's image, kept by the image's id; empty if it has none."""
    image_id = engine.image_id(image) or image
    kept = Path(cache_dir(), "docker", "bundles", hashlib.sha256(image_id.encode()).hexdigest())
    try:
        return Trust(container, kept.read_bytes())
    except OSError:
        pass
    try:
        members = list(engine.get_archive(container, BUNDLE))
    except NotFoundError:
        members = []
    bundle = next((member.data for member in members if member.data), b"")
    private_dir(private_dir(private_dir(cache_dir()) / "docker") / "bundles")
    part = kept.with_suffix(f".{container[:12]}")
    part.write_bytes(bundle)
    part.replace(kept)
    return Trust(container, bundle)
