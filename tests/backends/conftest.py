"""One bottle of each backend that can run here: what `seam.bottle.Bottle` promises is tested on all of them alike."""

import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Mapping
from importlib import import_module
from pathlib import Path

import pytest

from claude_bottle.declare import Plugin
from claude_bottle.hookspecs import Hooks
from claude_bottle.seam.bottle import Bottle

# With `--import-mode=importlib` a test's folder is not on the path; the helper's name is unique in the repository.
sys.path.insert(0, str(Path(__file__).parent))

from backend_ground import MODULES, Ground, started

LITERALS, FORWARDED = {"LITERAL": "plain"}, {"FORWARDED": "hidden-5e1f"}


@pytest.fixture(scope="module", params=MODULES)
def ground(request: pytest.FixtureRequest) -> Generator[Ground]:
    """Each backend in turn, with folders of our own, and proof that a module leaves nothing behind."""
    module = MODULES[request.param]
    plugin = import_module(module).PLUGIN
    assert isinstance(plugin, Plugin)
    hooks: Hooks = plugin.impl  # pyright: ignore[reportAssignmentType] - what its declaration erased
    result = hooks.probe()
    assert result is not None
    if result.state != "ready":
        wrong = "; ".join(f"{it.what} {it.detail} ({it.cure})" for it in result.findings if not it.ok)
        pytest.skip(f"{request.param} cannot run here: {wrong}")
    folder = Path(tempfile.mkdtemp(prefix="bottle-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        yield Ground(request.param, module, hooks, folder)
        left = [str(path) for path in folder.glob("claude-bottle/*/*")]
    shutil.rmtree(folder)
    assert left == []
    assert not hooks.list_bottles()


@pytest.fixture(scope="module")
def bottle(ground: Ground) -> Generator[Bottle]:
    """One bottle that the tests of a module share."""
    with started(ground, f"shared-{os.getpid()}", LITERALS, FORWARDED) as shared:
        yield shared


@pytest.fixture(params=["own", "found"])
def either(request: pytest.FixtureRequest, ground: Ground, bottle: Bottle) -> Bottle:
    """The bottle as its launcher has it, and as any other terminal has it."""
    return bottle if request.param == "own" else ground.find()


@pytest.fixture
def lacks(ground: Ground) -> Mapping[str, str]:
    """What this backend does not hold, by the word for it, and why: each is a skip with that reason."""
    return {
        "bwrap": {},
        "docker": {"hang-up": "an engine lets a command live on whose client was killed, until the bottle ends"},
    }[ground.name]
