"""The copy in a bottle that does not let go of what was there."""

from pathlib import Path
from typing import cast

import pytest
from skills_home import laid_skill

from bottle_skills.copy import copy_skills
from claude_bottle.errors import LaunchError
from claude_bottle.seam.bottle import Bottle, ExecResult


class Stubborn:
    """A bottle in which nothing can be removed, and to which nothing is put."""

    def exec(self, script: str) -> ExecResult:
        """Fail as `rm` does."""
        assert "for skill in pdf; do" in script
        return ExecResult(1, b"", b"rm: first\nrm: cannot remove 'pdf/SKILL.md'\n")


def test_a_skill_that_cannot_be_replaced_ends_the_launch(skills: Path) -> None:
    """In the words of what could not do it; the new files are not mixed with the old ones."""
    laid_skill(skills)
    bottle = cast("Bottle", Stubborn())
    with pytest.raises(LaunchError, match=r"could not be removed: rm: cannot remove 'pdf/SKILL\.md'$"):
        copy_skills(skills, ["pdf"], bottle)


def test_a_skill_that_has_become_unfit_replaces_nothing(skills: Path) -> None:
    """All of it is read before the bottle is touched, which is none here."""
    (laid_skill(skills) / "out").symlink_to("/etc")
    nobody = cast("Bottle", object())
    with pytest.raises(LaunchError, match="is a link that leaves the skill: /etc"):
        copy_skills(skills, ["pdf"], nobody)
