"""What the engine's words mean for a user, and what to do about it."""

__all__ = ["explained"]

CURES = (
    ("no space left on device", "the engine's disk is full: free some with `docker system prune`, then start again"),
    ("unknown or invalid runtime", "install the runtime and name it in the engine's daemon.json, or drop `runtime:`"),
    ("unknown runtime", "install the runtime and name it in the engine's daemon.json, or drop `runtime:`"),
    ("docker-init", "the engine has no init program: install the package `tini` (Debian) or a newer docker"),
    ("seccomp", "the engine has no seccomp: use one that has, without it a bottle is not isolated"),
    ("iptables", "the engine cannot set up its network: install iptables and restart it"),
    ("cgroup", "the engine has no control groups to limit a bottle with"),
)
"""A piece of the engine's words, and the cure."""


def explained(words: str) -> tuple[str, str | None]:
    """Return a sentence from the engine's words, and the cure where one is known."""
    lowered = words.lower()
    cure = next((cure for piece, cure in CURES if piece in lowered), None)
    return f"the engine refused: {words}", cure
