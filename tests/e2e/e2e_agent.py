"""An agent plugin of a test's own, installed for one user."""

from pathlib import Path

from e2e_user import User

__all__ = ["give_agent"]

REQUIRES = "Requires-Dist: claude-bottle-core>=0.1,<0.2\n"


def give_agent(user: User, folder: Path, name: str, source: str) -> None:
    """Let a user have the agent `name`, which is `PLUGIN` of this source, and trust it."""
    (folder / f"e2e_{name}.py").write_text(source)
    info = folder / f"bottle_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: bottle-{name}\nVersion: 1.0\n{REQUIRES}")
    (info / "entry_points.txt").write_text(f"[claude_bottle.agent]\n{name} = e2e_{name}:PLUGIN\n")
    user.environment |= {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CLAUDE_BOTTLE_TRUST": f"bottle-{name}",
    }
