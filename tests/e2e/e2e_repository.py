"""Repositories that a server of the tests has."""

import subprocess
from pathlib import Path

__all__ = ["make_repository"]


def make_repository(path: Path, **files: str) -> str:
    """Make a bare repository with one commit of these files, which takes what is pushed to it; returns the commit."""
    work = path.with_suffix(".work")
    work.mkdir(parents=True)
    for name, text in files.items():
        (work / name).write_text(text)
    ann = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*ann, "commit", "-qm", "first")):
        subprocess.run(["git", *words], cwd=work, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", work, path], check=True)
    subprocess.run(["git", "-C", path, "config", "http.receivepack", "true"], check=True)
    show = ["git", "-C", path, "rev-parse", "main"]
    return subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip()
