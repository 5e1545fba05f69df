"""What is found of launches: the bottles that run, and what crashed ones left."""

from collections.abc import Sequence

from msgspec import Struct

from bottle_docker.bottle import DockerBottle
from bottle_docker.engine import Engine
from bottle_docker.images import forget_build, is_building, is_of_build
from bottle_docker.labels import BUILD, BUILDER, LAUNCH, ROLE, Mark, builder
from bottle_docker.site import sweep

__all__ = ["Leftovers", "find_bottles", "find_leftovers", "remove_leftovers"]


class Leftover(Struct, frozen=True):
    """One thing of a dead launch: what kind it is, its name, and the launch's label."""

    kind: str
    name: str
    launch: str


class Leftovers(Struct, frozen=True):
    """All that dead launches of this user left, and the hashes of images that were never finished."""

    found: tuple[Leftover, ...] = ()
    builds: tuple[str, ...] = ()

    def lines(self) -> Sequence[str]:
        """See `seam.cleanup.CleanupPlan`."""
        return [
            *(f"{it.kind} {it.name}" for it in self.found),
            *(f"half-built image {digest}" for digest in self.builds),
        ]


def find_bottles(engine: Engine) -> Sequence[DockerBottle]:
    """Return a handle for each bottle of this user whose container runs, whoever of its terminals asks."""
    bottles: list[DockerBottle] = []
    for container in engine.containers(f"{ROLE}=agent", stopped=False):
        mark = Mark.read(container.labels)
        if mark is not None and mark.ours and mark.owner.alive():
            end = Ending(engine, mark, container.name)
            bottles.append(DockerBottle(engine, container.id, container.name, mark, end=end))
    return bottles


class Ending(Struct, frozen=True):
    """How a bottle is ended by another process than its own."""

    engine: Engine
    mark: Mark
    name: str

    def __call__(self) -> None:
        """Ask the launch to take itself down, wait until it has, and sweep what it could not. Idempotent."""
        self.mark.owner.end(f"the launch of {self.name}")
        sweep(self.engine, self.mark.launch)


def find_leftovers(engine: Engine) -> Leftovers:
    """Return what dead launches left. A launch of another machine, or of which we know nothing, is not among them."""
    listed = [
        *(("container", it.name, it.labels) for it in engine.containers(LAUNCH)),
        *(("network", it.name, it.labels) for it in engine.networks(LAUNCH)),
        *(("volume", it.name[:12], it.labels) for it in engine.volumes(LAUNCH)),
    ]
    found: list[Leftover] = []
    for kind, name, labels in listed:
        mark = Mark.read(labels)
        if mark is not None and is_dead(mark):
            found.append(Leftover(kind, name, mark.launch))
    return Leftovers(tuple(found), tuple(sorted(broken_builds(engine))))


def broken_builds(engine: Engine) -> set[str]:
    """Return the hashes of this user's builds of which steps are left and that nobody is at."""
    steps = [it for it in engine.containers(BUILD) if is_of_build(it)]
    layers = [it for it in engine.dangling_images(BUILD) if (it.labels or {}).get(BUILDER) == builder()]
    digests = {(it.labels or {}).get(BUILD, "") for it in (*steps, *layers)}
    return {digest for digest in digests if digest.isalnum() and not is_building(digest)}


def is_dead(mark: Mark) -> bool:
    """Say whether a launch of this user has ended; False where that cannot be known."""
    return mark.ours and mark.owner.alive() is False


def remove_leftovers(engine: Engine, plan: Leftovers) -> None:
    """Remove what was listed, as far as it is still there; its owner was dead then, and stays so."""
    for launch in dict.fromkeys(it.launch for it in plan.found):
        sweep(engine, launch)
    for digest in plan.builds:
        if not is_building(digest):
            forget_build(engine, digest)
