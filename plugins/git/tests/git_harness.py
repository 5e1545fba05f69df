"""A user with a repository, and a bottle on a real backend that the repository goes into."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from bottle_git.plugin import PLUGIN
from claude_bottle.hookspecs import Hooks
from claude_bottle.manifest.types import Workspace
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle
from claude_bottle.testing.contract import load_target
from claude_bottle.testing.ground import Held

__all__ = ["Repo", "Stay", "fingerprint", "git"]


def git(folder: Path, *words: str, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Run git as a user does, with whatever the repository configures."""
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *words],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, **(env or {})},
    )
    assert not check or done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


class Repo:
    """A repository with one commit: the files `kept` and `changed`, below a folder of the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        (path / ".git" / "branches").mkdir(exist_ok=True)  # a git from 2.49 on makes none
        self.write(kept="kept\n", changed="before\n")
        self.commit("first")

    def git(self, *words: str, check: bool = True) -> str:
        """Run git in it."""
        return git(self.path, *words, check=check)

    def write(self, **files: str) -> None:
        """Write files."""
        for name, text in files.items():
            (self.path / name).write_text(text)

    def commit(self, message: str) -> str:
        """Commit all there is."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def branches(self) -> dict[str, str]:
        """Return name and commit of each branch."""
        rows = self.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
        return dict(row.split() for row in rows)


class Stay:
    """A bottle that a folder has been brought into."""

    def __init__(self, held: Held, folder: Path) -> None:
        self.bottle: Bottle = held.bottle
        self.plan: Plan = replace(held.plan, workspace=Workspace(), cwd=str(folder))
        self.hooks: Hooks = load_target("provisioner", "workspace", "bottle_git.plugin:PLUGIN").hooks
        assert PLUGIN.kind == "provisioner"
        self.hooks.provision_git(bottle=self.bottle, plan=self.plan)

    def sh(self, script: str) -> str:
        """Run a script in the workspace, as the agent does."""
        done = self.bottle.exec(script)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def pull(self) -> list[str]:
        """Bring the work out."""
        return list(self.hooks.collect(bottle=self.bottle, plan=self.plan) or ())

    def diff(self) -> str:
        """Show the work."""
        return (self.hooks.compare(bottle=self.bottle, plan=self.plan) or b"").decode("utf-8", "replace")


def fingerprint(folder: Path) -> dict[str, str]:
    """Return every file, folder and link below a folder with its mode and content, but what a pull may add."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if "objects/pack" in name or "refs/heads/bottle" in name:
            continue
        mode = path.lstat().st_mode
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""  # noqa: PTH115 - a link in bytes
        data = content if isinstance(content, bytes) else content.encode()
        found[name] = f"{mode:o} {hashlib.sha256(data).hexdigest()}"
    return found
