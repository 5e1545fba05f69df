"""Warming up: only a proxy that will be a process of this machine is begun early."""

import pytest
from core_stage import Stage

from claude_bottle.launch.launch import warm_up
from claude_bottle.seam.traits import BackendTraits, Runs


@pytest.mark.parametrize(("runs", "begun"), [("process", 1), ("image", 0)])
def test_no_process_is_begun_for_a_backend_that_runs_images(stage: Stage, runs: Runs, begun: int) -> None:
    """What could never be handed over would cost its imports, and a plugin need not know of it."""
    stage.set(warm="1")
    prepared = stage.prepared()
    backend = prepared.team.backend
    plugin = backend.plugin._replace(backend_traits=BackendTraits(runs=runs))
    team = prepared.team._replace(backend=backend._replace(plugin=plugin))
    warm = warm_up(prepared._replace(team=team))
    if warm is not None:
        warm.end()
    assert (warm is not None) == bool(begun)
    assert len(stage.user.pids()) == begun
