"""Builds on an engine: one that fails, one that is given up, one that is killed, and whose they are to clean up."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from bottle_docker.archive import pack_archive
from bottle_docker.engine import Engine
from bottle_docker.images import Images, digest_of, tag_of
from bottle_docker.labels import BUILD, BUILDER, builder
from bottle_docker.leftover import find_leftovers, remove_leftovers
from claude_bottle.errors import ImageError, LaunchError
from claude_bottle.seam.sidecar import Recipe

BASE = "debian:bookworm-slim"


def test_a_build_that_fails_says_how_and_leaves_no_layer(engine: Engine) -> None:
    """The last thing that it said, and nothing of it on the engine."""
    recipe = Recipe(
        name="claude-bottle-test-broken", containerfile=f"FROM {BASE}\nRUN echo half >/half\nRUN echo why; false\n"
    )
    with pytest.raises(ImageError, match="cannot be built") as caught:
        Images(engine, lambda _: None, threading.Event()).ensure(recipe)
    assert "why" in caught.value.message
    assert find_leftovers(engine).builds == ()


@pytest.mark.parametrize(("whose", "seen"), [("", True), ("4711.another", False)])
def test_a_broken_build_is_a_leftover_of_whoever_made_it(engine: Engine, whose: str, seen: bool) -> None:
    """S30: that of another user of the engine may still be under way, which only they can tell."""
    digest = os.urandom(8).hex()
    label = f"LABEL {BUILD}={digest} {BUILDER}={whose or builder()}"
    steps = f"FROM {BASE}\n{label}\nRUN echo half >/half\nRUN false\n"
    context = pack_archive([("Dockerfile", steps.encode(), 0o644, 0)])
    with pytest.raises(LaunchError):
        list(engine.build(context, f"claude-bottle-test-{digest}", threading.Event()))
    layers = engine.dangling_images(f"{BUILD}={digest}")
    assert layers != []
    try:
        assert (digest in find_leftovers(engine).builds) is seen
        assert cleaned(engine)
        assert (engine.dangling_images(f"{BUILD}={digest}") == []) is seen
    finally:
        for layer in layers:
            engine.remove_image(layer.id)


def test_a_build_is_given_up_with_its_launch(engine: Engine) -> None:
    """Ctrl-C does not wait for it, and no layer and no container of it stays."""
    ended = threading.Event()
    steps = f"FROM {BASE}\nRUN echo half >/half-{os.urandom(4).hex()}\nRUN sleep 300\n"

    def say(line: str) -> None:
        if "sleep" in line:
            threading.Timer(0.5, ended.set).start()

    begin = time.monotonic()
    with pytest.raises(LaunchError):
        Images(engine, say, ended).ensure(Recipe(name="claude-bottle-test-long", containerfile=steps))
    assert time.monotonic() - begin < 60
    # The engine may start a step's container just after it was told to give up: that one is a leftover.
    assert wait_for(lambda: cleaned(engine))


BUILDING = """
import sys
from threading import Event
from bottle_docker.images import Images, digest_of, tag_of
from bottle_docker.plugin import open_engine
from claude_bottle.seam.sidecar import Recipe
recipe = Recipe(name=sys.argv[1], containerfile=sys.argv[2])
Images(open_engine(), lambda line: print(line, flush=True), Event()).ensure(recipe)
"""


def test_a_build_that_is_killed_is_a_leftover(engine: Engine) -> None:
    """S14, S30: SIGKILL while an image is built; `cleanup` then leaves neither a step's container nor a layer."""
    recipe = Recipe(
        name="claude-bottle-test-killed",
        containerfile=f"FROM {BASE}\nRUN echo half >/half-{os.urandom(4).hex()}\nRUN sleep 300\n",
    )
    words = [sys.executable, "-c", BUILDING, recipe.name, recipe.containerfile]
    label = f"{BUILD}={digest_of(recipe)}"
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert any(b"sleep" in line for line in process.stdout)
        assert find_leftovers(engine).builds == ()
        process.kill()
    assert wait_for(lambda: cleaned(engine) and not engine.containers(label) and not engine.dangling_images(label))
    assert engine.image_id(tag_of(recipe)) is None


def cleaned(engine: Engine) -> bool:
    """Clean up, and say whether no step of a build is left."""
    remove_leftovers(engine, find_leftovers(engine))
    return find_leftovers(engine).builds == ()


def wait_for(true: Callable[[], bool]) -> bool:
    """Say whether something becomes true within forty seconds."""
    deadline = time.monotonic() + 40
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
