"""Bottles as they come and go: names, lists, several at once."""

import os
import secrets
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.bottle import Bottle
from claude_bottle.testing.ground import Ground, Held

__all__ = ["LifeContract"]


class LifeContract:
    """What `list_bottles`, `state`, `name` and `slug` promise."""

    def test_a_bottle_is_found_from_anywhere(self, ground: Ground, held: Held) -> None:
        """The handle that is listed is of the same launch, and works like our own."""
        found = ground.find(held.bottle.name)
        assert (found.name, found.slug, found.launch) == (held.bottle.name, held.plan.slug, held.launch.label)
        assert found.state == held.bottle.state == "running"

    @pytest.mark.usefixtures("walls")
    def test_it_begins_in_its_workspace(self, either: Bottle) -> None:
        """`/workspace` is where commands begin; it, the home and `/tmp` can be written to."""
        assert either.exec("pwd").stdout == b"/workspace\n"
        assert (
            either.exec(
                'for d in /workspace "$HOME" /tmp; do echo x > $d/probe && rm $d/probe || exit 1; done'
            ).returncode
            == 0
        )

    def test_several_of_one_agent_run_at_once(self, ground: Ground) -> None:
        """Each has a name of its own, is listed, and ends alone."""
        slug = f"several-{os.getpid()}"
        with ExitStack() as stack:
            helds = [stack.enter_context(ground.start(slug)) for _ in range(3)]
            names = [held.bottle.name for held in helds]
            assert len(set(names)) == 3
            assert set(names) <= {it.name for it in ground.hooks.list_bottles() or ()}
            for held in helds:
                held.bottle.exec(f"echo {held.bottle.name} > ~/name")
            helds[0].bottle.stop()
            assert [held.bottle.exec("cat ~/name").stdout.decode().strip() for held in helds[1:]] == names[1:]
            assert {it.name for it in ground.hooks.list_bottles() or () if it.slug == slug} == set(names[1:])

    def test_what_runs_in_it_ends_with_it(self, loaded: Loaded, ground: Ground) -> None:
        """Also what has a session of its own and heeds no signal; it is looked for on this machine."""
        traits = loaded.plugin.backend_traits
        if traits is not None and traits.kernel == "own":
            pytest.skip("what runs in a machine of its own cannot be seen here, and ends with that machine")
        word = f"stays-{secrets.token_hex(8)}"
        stubborn = f"trap '' HUP INT TERM; while :; do sleep 0.2; done # {word}"
        with ground.start(f"ends-{os.getpid()}") as held:
            held.bottle.exec(f'setsid sh -c "{stubborn}" >/dev/null 2>&1 &')
            assert runs(word), "what was started in the background does not run"
            held.bottle.stop()
        assert not runs(word)

    def test_one_that_lives_is_no_leftover(self, ground: Ground, held: Held) -> None:
        """A cleanup never touches what belongs to a living owner."""
        plan = ground.hooks.plan_cleanup()
        assert plan is not None
        assert [line for line in plan.lines() if held.bottle.name in line] == []
        ground.hooks.cleanup(plan=plan)
        assert held.bottle.exec("echo alive").stdout == b"alive\n"


def runs(word: str) -> bool:
    """Say whether a process of this machine, in a bottle or not, has this word in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            if word.encode() in path.read_bytes():
                return True
    return False
