"""What is left when something fails: nothing, whatever it was, and however often it is taken down."""

import json
import os
import subprocess
import sys

from claude_bottle.testing.ground import Ground

__all__ = ["FaultContract"]


class FaultContract:
    """A failure at every call that the plugin makes, and a teardown that comes twice."""

    def test_a_failure_at_every_call_leaves_nothing(self, ground: Ground) -> None:
        """Each line of the plugin from which a launch changes something fails once, as on a full disk."""
        slug = f"fault-{os.getpid()}"
        places = inject(ground, slug, None)
        assert places, "a launch changes nothing of the system?"
        before = set(ground.folder.rglob("*"))
        for place in places:
            inject(ground, slug, place)
            assert left(ground, slug) == [], f"left after a failure of {place}"
            assert set(ground.folder.rglob("*")) - before == set(), f"left after a failure of {place}"

    def test_a_teardown_comes_twice(self, ground: Ground) -> None:
        """`stop` and `close` are called by whoever is on the way out, in any order, more than once."""
        with ground.start(f"twice-{os.getpid()}") as held:
            other = ground.find(held.bottle.name)
            held.bottle.stop()
            held.bottle.stop()
            assert held.bottle.state == other.state == "stopped"
            held.site.close()
            held.site.close()
            assert left(ground, held.plan.slug) == []
            other.stop()

    def test_a_site_that_nothing_ran_on_is_closed(self, ground: Ground) -> None:
        """A no to what came in between: what `open_site` made goes, before it is all there too."""
        for number in range(3):
            slug = f"empty-{number}-{os.getpid()}"
            inject(ground, slug, "nowhere")
            assert left(ground, slug) == []


def inject(ground: Ground, slug: str, place: str | None) -> list[str]:
    """Launch once in a process of its own; return the places from which it changed something."""
    words = [ground.target, ground.loaded.name, json.dumps(dict(ground.section)), slug]
    done = subprocess.run(
        [sys.executable, "-m", "claude_bottle.testing.injection", *words, *([place] if place else [])],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def left(ground: Ground, slug: str) -> list[str]:
    """Return what the backend knows of a slug: bottles that run, leftovers, files in our folder."""
    plan = ground.hooks.plan_cleanup()
    lines = [line for line in (plan.lines() if plan else ()) if slug in line]
    bottles = [it.name for it in ground.hooks.list_bottles() or () if it.slug == slug]
    return [*lines, *bottles, *(str(path) for path in ground.folder.rglob(f"*{slug}*"))]
