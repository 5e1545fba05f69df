"""The agent's image as a recipe."""

from collections.abc import Sequence
from importlib import resources

from claude_bottle.seam.sidecar import Recipe

__all__ = ["agent_recipe", "chosen_recipe"]

NAME = "claude-bottle-agent"

CLOSING = r"""
# Last, for what comes before needs names. One that nobody knows fails at once: a bottle's resolver is its proxy.
RUN sed -i '/^hosts:/d' /etc/nsswitch.conf; echo 'hosts: files' >>/etc/nsswitch.conf
"""

CHOSEN = "claude-bottle-chosen"


def chosen_recipe(image_id: str) -> Recipe:
    """Return the recipe of an image that somebody else made, with the two folders in which an agent writes."""
    folders = "/home/agent /workspace"
    steps = f"FROM {image_id}\nUSER root\nRUN mkdir -p {folders} && chown 1000:1000 {folders}\n"
    return Recipe(name=CHOSEN, containerfile=steps)


def agent_recipe(install: Sequence[str]) -> Recipe:
    """Return the recipe of an agent's image: the packaged base, and what the agent's plugin wants installed."""
    base = resources.files(__name__).joinpath("Containerfile").read_text(encoding="utf-8")
    return Recipe(name=NAME, containerfile=base + "".join(f"RUN {command}\n" for command in install) + CLOSING)
