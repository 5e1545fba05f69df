"""An image that is not here is fetched, under its tag or by the digest that pins it."""

import os
from threading import Event

import pytest
from docker_registry import registry

from bottle_docker.engine import Engine
from bottle_docker.images import Images
from claude_bottle.errors import ImageError


@pytest.fixture(autouse=True)
def near(engine: Engine) -> None:
    """An engine elsewhere does not reach the registry."""
    if engine.address.socket is None:
        pytest.skip(f"needs an engine at a socket of this machine, not at {engine.address.url}")


@pytest.mark.parametrize("form", ["{name}:{tag}", "{name}@{digest}", "{name}:{tag}@{digest}"])
def test_it_is_fetched_under_each_form_of_its_name(engine: Engine, form: str) -> None:
    """The user reads that it is fetched; the second launch does not ask for it."""
    said: list[str] = []
    label = os.urandom(4).hex()
    with registry(label) as one:
        name = form.format(**one._asdict())
        images = Images(engine, said.append, Event())
        try:
            assert images.ensure(name) == name
            assert said == [f"fetching {name} (once)"]
            assert engine.image_id(name) is not None
            images.ensure(name)
            assert len(said) == 1
        finally:
            engine.remove_image(engine.image_id(name) or name)
    assert engine.image_id(name) is None


def test_one_that_is_not_what_was_pinned_is_an_error(engine: Engine) -> None:
    """Another image under the same tag is none."""
    with registry(os.urandom(4).hex()) as one:
        name = f"{one.name}:{one.tag}@sha256:{'0' * 64}"
        with pytest.raises(ImageError, match="is not here and cannot be fetched"):
            Images(engine, lambda _: None, Event()).ensure(name)
        assert engine.image_id(name) is None
