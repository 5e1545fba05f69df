"""The proxy's image as a recipe: pinned and hashed packages, and this distribution's own modules."""

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from claude_bottle.seam.sidecar import File, Recipe
from claude_bottle.seam.trust import read_bundle

__all__ = ["PYTHON", "proxy_recipe"]

NAME = "claude-bottle-mitmproxy"
REQUIREMENTS = "requirements.txt"
PYTHON = "/opt/venv/bin/python"
"""The interpreter in the image."""

PARTS = ("bottle_mitmproxy", "claude_bottle/seam", "claude_bottle/__init__.py", "claude_bottle/errors.py")
"""What the proxy is made of: folders and files of our own distributions."""


def proxy_recipe() -> Recipe:
    """Return the recipe; the build trusts what this machine trusts."""
    here = resources.files(__name__)
    requirements = File(REQUIREMENTS, here.joinpath(REQUIREMENTS).read_bytes(), 0o644)
    return Recipe(
        name=NAME,
        containerfile=here.joinpath("Containerfile").read_text(encoding="utf-8"),
        files=(requirements, *(file for part in PARTS for file in _modules(part))),
        authorities=read_bundle(()),
    )


def _modules(part: str) -> Iterator[File]:
    package, _, rest = part.partition("/")
    place = resources.files(package)
    yield from _walk(place.joinpath(rest) if rest else place, f"src/{part}")


def _walk(place: Traversable, name: str) -> Iterator[File]:
    if place.is_file():
        if name.endswith(".py"):
            yield File(name, place.read_bytes(), 0o644)
        return
    for child in sorted(place.iterdir(), key=lambda it: it.name):
        yield from _walk(child, f"{name}/{child.name}")
