"""Skills in a bottle, as a user has them: named in the manifest, shown, copied with their modes and links."""

from e2e_user import User

LOOK = """
cd ~/.claude/skills && find . ! -name . -printf '%m %y %P %l\\n' | LC_ALL=C sort -k 3 && cat pdf/SKILL.md && sh pdf/go
"""


def test_the_agent_has_the_skills_that_the_manifest_names(user: User) -> None:
    """S19, S27: `$HOME/.claude/skills/NAME` of whoever runs `bottle` is at the same place of the agent's home."""
    skill = user.home / ".claude" / "skills" / "pdf"
    (skill / "scripts").mkdir(parents=True)
    (skill / "SKILL.md").write_text("# Reads PDF\n")
    (skill / "scripts" / "run").write_text("#!/bin/sh\necho ran\n")
    (skill / "go").symlink_to("scripts/run")
    for path, mode in (("SKILL.md", 0o600), ("scripts/run", 0o750), ("scripts", 0o711), ("", 0o700)):
        (skill / path).chmod(mode)
    (skill.parent / "not-named").mkdir()
    user.manifest(agent={"skills": ["pdf"]})
    done = user.start("sh", "-c", LOOK, timeout=110)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "700 d pdf ",
        "600 f pdf/SKILL.md ",
        "777 l pdf/go scripts/run",
        "711 d pdf/scripts ",
        "750 f pdf/scripts/run ",
        "# Reads PDF",
        "ran",
    ]
    assert "skills        : pdf\n" in done.err
    assert "reads on the host agents.reviewer.skills[0]: ~/.claude/skills/pdf\n" in done.err
