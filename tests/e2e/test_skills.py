"""Skills in the preflight: shown where they can be copied, refused with path and line where they cannot."""

import json
from pathlib import Path

import pytest
from e2e_user import User

MANIFEST = """\
version: 1
bottles:
  dev: {backend: bwrap, proxy: mitmproxy}
agents:
  my.reviewer:
    bottle: dev
    agent: shell
    skills:
      - pdf
      - reveiw
      - away
"""


@pytest.fixture
def skills(user: User) -> Path:
    """The folder of the user's skills; two are fit."""
    folder = user.home / ".claude" / "skills"
    for name in ("pdf", "review"):
        (folder / name).mkdir(parents=True)
        (folder / name / "SKILL.md").write_text(f"# {name}\n")
    return folder


def test_all_problems_of_skills_are_told_with_path_and_line(user: User, skills: Path) -> None:
    """S6, S19: a missing skill, one that leads out of the folder and a link in one, before anyone is asked."""
    (skills / "away").symlink_to("/etc")
    (skills / "pdf" / "passwd").symlink_to("/etc/passwd")
    (user.work / "bottle.yaml").write_text(MANIFEST)
    done = user.bottle("start", "my.reviewer", "--yes", "--file", "bottle.yaml")
    assert done.code == 125
    shown = done.err.replace(str(skills), "~").replace('agents["my.reviewer"].skills', "SKILLS")
    assert [line for line in shown.splitlines() if line.startswith(("error: ", " hint: "))] == [
        "error: bottle.yaml:9: SKILLS[0]: ~/pdf/passwd is a link that leaves the skill: /etc/passwd",
        " hint: put in its place what it names, or a relative link within the skill",
        "error: bottle.yaml:10: SKILLS[1]: there is no skill ~/reveiw",
        " hint: skills there: pdf, review",
        "error: bottle.yaml:11: SKILLS[2]: ~/away is a link that leaves the folder of the skills: /etc",
        " hint: put the skill itself there, or a link to its neighbour",
    ]


def test_the_preflight_shows_them(user: User, skills: Path) -> None:
    """In text and JSON as the manifest has them, without a section of their own."""
    user.manifest(agent={"skills": ["review", "pdf"]})
    assert "skills        : review, pdf\n" in user.bottle("start", "reviewer", "--dry-run").out
    shown = json.loads(user.bottle("start", "reviewer", "--dry-run", "--format=json").out)
    assert (shown["skills"], list(shown["sections"])) == (["review", "pdf"], ["bwrap"])


@pytest.mark.parametrize("name", ["../../etc", "..", ".hidden", "/etc", "a/b"])
def test_a_name_that_leaves_the_folder_is_refused(user: User, skills: Path, name: str) -> None:
    """Nothing is looked up for it."""
    user.manifest(agent={"skills": [name]})
    done = user.bottle("start", "reviewer", "--dry-run")
    assert (done.code, "agents.reviewer.skills[0]: " in done.err) == (1, True)
    assert "a skill is named by its folder" in done.err


def test_without_the_plugin_skills_are_refused(user: User, skills: Path) -> None:
    """S34: a key that no plugin may take is an error, never a bottle without skills."""
    config = user.config / "config.yaml"
    config.write_text(config.read_text().replace("block: [docker]", "block: [docker, skills]"))
    user.manifest(agent={"skills": ["pdf"]})
    done = user.start("true")
    assert done.code == 125
    assert "agents.reviewer.skills: " in done.err
    assert user.bottle("start", "reviewer", "--dry-run").code == 1


def test_a_bottle_has_no_section_skills(user: User) -> None:
    """They belong to the agent: a key of that name in a bottle is a mistake, never a section that does nothing."""
    user.manifest({"skills": ["pdf"]})
    done = user.bottle("start", "reviewer", "--dry-run")
    assert (done.code, "bottles.dev.skills: unknown key" in done.err) == (1, True)


def test_a_skill_that_becomes_unfit_ends_the_launch(user: User, skills: Path) -> None:
    """Checked once more when it is copied: what changed since ends in one error, and nothing is left."""
    user.manifest(agent={"skills": ["pdf"]})
    begun = user.begin("start", "reviewer", "--yes", "--file", "bottle.yaml", "--timings", "--", "true")
    assert begun.stderr is not None
    for line in begun.stderr:  # the last line of the preflight: the checks are over
        if line.startswith(b"limits "):
            break
    (skills / "pdf" / "passwd").symlink_to("/etc/passwd")
    _, err = begun.communicate(timeout=60)
    assert begun.returncode == 125
    assert f"error: {skills}/pdf/passwd is a link that leaves the skill: /etc/passwd" in err.decode()
    assert user.listed() == []
