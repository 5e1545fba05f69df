"""Images: found under their name, built from a recipe, or fetched; once for all launches that want the same."""

import hashlib
import io
import re
import tarfile
from collections.abc import Callable
from contextlib import suppress
from threading import Event

from bottle_docker.engine import Engine
from bottle_docker.labels import BUILD, BUILDER, LAUNCH, builder
from bottle_docker.listing import Container
from bottle_docker.locks import locked
from claude_bottle.errors import BottleError, ImageError, LaunchError
from claude_bottle.seam.sidecar import Recipe

__all__ = ["Images", "forget_build", "is_building", "is_of_build", "tag_of"]

DOCKERFILE = "Dockerfile"
WIDTH = 90  # characters of a step that are shown
AUTHORITIES = "authorities.pem"


class Images:
    """What one launch needs; `ended` makes a build or a fetch that is under way give up."""

    def __init__(self, engine: Engine, say: Callable[[str], None], ended: Event) -> None:
        self._engine = engine
        self._say = say
        self._ended = ended

    def ensure(self, image: str | Recipe) -> str:
        """Return the name of an image that is now there; LaunchError with the cure if it cannot be had."""
        if isinstance(image, str):
            if self._engine.image_id(image) is None:
                self._fetch(image)
            return image
        tag = tag_of(image)
        if self._engine.image_id(tag) is None:
            with locked(tag.rpartition(":")[2], self._ended):
                if self._engine.image_id(tag) is None:  # whoever had the lock may have built it
                    self._build(image, tag)
        return tag

    def _fetch(self, name: str) -> None:
        self._say(f"fetching {name} (once)")
        try:
            for _ in self._engine.pull(name, self._ended):
                pass
        except BottleError as error:
            raise ImageError(
                f"the image {name} is not here and cannot be fetched: {error.message}",
                error.hint or f"`docker pull {name}`, or name one that is here",
            ) from error

    def _build(self, recipe: Recipe, tag: str) -> None:
        self._say(f"building {tag} (once, a minute or two)")
        last = ""
        try:
            for line in self._engine.build(context_of(recipe), tag, self._ended):
                last = last if line.startswith(("Removing ", "--->")) else line.rpartition("\n")[2]
                if line.startswith("Step ") and f" LABEL {BUILD}" not in line:
                    self._say(f"  {shortened(line)}")
        except BottleError as error:
            if self._ended.is_set():
                raise
            after = f"; it said last: {last}" if last else ""
            message = f"the image {tag} cannot be built: {error.message}{after}"
            raise ImageError(message, error.hint) from error
        finally:
            self._forget_layers(recipe)
        if self._engine.image_id(tag) is None:
            raise LaunchError(f"the image {tag} was not built, without a word why")

    def _forget_layers(self, recipe: Recipe) -> None:
        """Remove what the build leaves beside its image: earlier stages, and what one that failed had come to."""
        with suppress(BottleError):
            forget_build(self._engine, digest_of(recipe))


def forget_build(engine: Engine, digest: str) -> None:
    """Remove the containers and nameless layers of a build of this user's that is over."""
    for container in engine.containers(f"{BUILD}={digest}"):
        if is_of_build(container):
            engine.remove(container.id)
    for layer in engine.dangling_images(f"{BUILD}={digest}"):
        if (layer.labels or {}).get(BUILDER) == builder():
            engine.remove_image(layer.id)


def is_of_build(container: Container) -> bool:
    """Say whether a container is a step of a build of ours: by its labels, without a launch, of a nameless image."""
    labels = container.labels or {}
    return (
        labels.get(BUILDER) == builder()
        and LAUNCH not in labels
        and re.fullmatch(r"(sha256:)?[0-9a-f]{12,}", container.image) is not None
    )


def is_building(digest: str) -> bool:
    """Say whether somebody on this machine builds it at this moment."""
    try:
        with locked(digest):
            return False
    except BlockingIOError:
        return True


def shortened(line: str) -> str:
    """Return a step of a build in one line of a terminal."""
    line = " ".join(line.split())
    return line if len(line) <= WIDTH else line[: WIDTH - 2] + " …"


def tag_of(recipe: Recipe) -> str:
    """Return a recipe's image with the hash of its inputs as the tag."""
    return f"{recipe.name}:{digest_of(recipe)}"


def digest_of(recipe: Recipe) -> str:
    """Return 16 hex digits that change with the containerfile and with each file's name, mode and content."""
    digest = hashlib.sha256(recipe.containerfile.encode())
    for file in sorted(recipe.files, key=lambda file: file.name):
        digest.update(f"\0{file.name}\0{file.mode:o}\0{len(file.data)}\0".encode())
        digest.update(file.data)
    return digest.hexdigest()[:16]


def context_of(recipe: Recipe) -> bytes:
    """Return the build's folder as a tar archive."""
    buffer = io.BytesIO()
    members = [(file.name, file.data, file.mode) for file in recipe.files]
    members += [(AUTHORITIES, recipe.authorities, 0o644), (DOCKERFILE, labelled(recipe).encode(), 0o644)]
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data, mode in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def labelled(recipe: Recipe) -> str:
    """Return the containerfile with a label as the first step of each stage: half-built layers are found by it."""
    label = f"LABEL {BUILD}={digest_of(recipe)} {BUILDER}={builder()}"
    lines: list[str] = []
    for line in recipe.containerfile.splitlines():
        lines.append(line)
        if line.upper().startswith("FROM "):
            lines.append(label)
    return "\n".join(lines) + "\n"
