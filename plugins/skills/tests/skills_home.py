"""A home with skills of every sort, for tests of what is copied and of what is refused."""

from collections.abc import Mapping
from pathlib import Path

__all__ = ["laid_skill", "lay"]


def lay(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files, making their folders; a text that begins with `->` is a link's target."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            path.symlink_to(text[2:])
        else:
            path.write_text(text)
    return folder


def laid_skill(skills: Path, name: str = "pdf") -> Path:
    """Write a skill with a script, links within it, and modes of its own."""
    files = {
        "SKILL.md": "# A skill\n",
        "scripts/run": "#!/bin/sh\n",
        "go": "->scripts/run",
        "scripts/up": "->../SKILL.md",
    }
    skill = lay(skills / name, files)
    (skill / "scripts" / "run").chmod(0o750)
    (skill / "SKILL.md").chmod(0o600)
    (skill / "scripts").chmod(0o555)
    return skill
