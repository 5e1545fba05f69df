"""The copy of skills in a bottle: read anew when it is made, and laid only when all of it could be read."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from bottle_skills.folder import read_skill
from claude_bottle.errors import LaunchError
from claude_bottle.seam.bottle import Bottle

__all__ = ["copy_skills"]

PLACE = "/home/agent/.claude/skills"
CLEAR = """\
cd "$HOME/.claude/skills" 2>/dev/null || exit 0
for skill in {names}; do
    [ -L "$skill" ] || chmod -R u+rwX -- "$skill" 2>/dev/null
    rm -rf -- "$skill" || exit
done
"""
"""A folder that is read-only cannot be emptied; a link is removed, and what it names is not touched."""


def copy_skills(folder: Path, names: Sequence[str], bottle: Bottle) -> None:
    """Replace each skill inside with the one of this machine; LaunchError for one that has become unfit since."""
    once = tuple(dict.fromkeys(names))
    if not once:
        return
    entries = [entry for name in once for entry in read_skill(folder, name)]
    cleared = bottle.exec(CLEAR.format(names=" ".join(shlex.quote(name) for name in once)))
    if cleared.returncode != 0:
        last = cleared.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise LaunchError(f"what the bottle had in the place of a skill could not be removed: {last}")
    bottle.put(entries, PLACE)
