"""Which folders of this machine may be seen in a bottle: step 1, whatever plugin wants them mounted there."""

import os
import pwd
from collections.abc import Iterator, Sequence
from pathlib import Path

from claude_bottle.errors import Problem
from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.folders import cache_dir, config_dir, runtime_dir, state_dir
from claude_bottle.seam.part import Mount

__all__ = ["mount_problems", "refusal"]

SYSTEM = tuple(map(Path, ("/boot", "/dev", "/etc", "/proc", "/run", "/sys", "/usr", "/var/run")))
"""Neither these nor what lies below them."""


def mount_problems(mounts: Sequence[Mount], backend: Loaded, home: Path) -> list[Problem]:
    """Return why a backend cannot make these mounts, or may not."""
    if not mounts:
        return []
    traits = backend.plugin.backend_traits
    if traits is None or not traits.bind:
        hint = "use another --backend, or workspace: {mode: copy}"
        return [Problem(f"backend {backend.name} cannot bind a folder of this machine", hint)]
    if os.getuid() == 0:
        hint = "start it as the user whose folder it is (`runuser -u NAME -- bottle start ...`), or copy the workspace"
        return [Problem("root cannot bind a folder: no agent may have root's own uid", hint)]
    refusals: dict[str, str] = {}
    for mount in mounts:
        said = any(mount.source.startswith(f"{other}/") for other in refusals)
        if not said and (why := refusal(Path(mount.source), home)):
            refusals[mount.source] = why
    return [
        Problem(f"{source} cannot be bound: {why}", "bind the folder of one project")
        for source, why in refusals.items()
    ]


def refusal(path: Path, home: Path) -> str:
    """Return why a path is never seen inside, empty if it may be. Links are resolved on both sides."""
    if not str(path).isprintable():
        return "its name has what cannot be printed"
    if not path.is_absolute() or path.resolve() != path:
        return f"it leads to {path.resolve()}"
    for what, place in _guarded(home):
        if place == path or path in place.parents:
            return f"it is {what}" if place == path else f"it holds {what}, {place}"
        if what != HOME and place in path.parents:
            return f"it lies in {what}, {place}"
    return ""


HOME = "your home"


def _guarded(home: Path) -> Iterator[tuple[str, Path]]:
    yield HOME, home.resolve()
    yield HOME, Path(pwd.getpwuid(os.getuid()).pw_dir).resolve()
    for place in (config_dir(), state_dir(), cache_dir(), runtime_dir()):
        yield "a folder of claude-bottle's own", place.resolve()
    for place in SYSTEM:
        yield "a folder of the system", place.resolve()
