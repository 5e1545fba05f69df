"""A user of `bottle` in the end-to-end tests: a fresh home, the installed command, real processes."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import PIPE
from typing import IO, Any, NamedTuple

__all__ = ["BINARIES", "INSIDE", "Bottle", "Done", "User", "wait_until"]

BINARIES = Path(sys.executable).parent
"""Where `bottle` is installed, beside the Python that runs the tests."""
INSIDE = "/opt/claude-bottle/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a bottle looks for programs, which are the host's."""
DEADLINE = 60.0
EMBEDDED = {"backend": "bwrap", "proxy": "mitmproxy"}


class Done(NamedTuple):
    """What a command left, in text; `raw` is its stdout as it came."""

    code: int
    out: str
    err: str
    raw: bytes


class User:
    """Somebody whose every folder is below `folder`, which is short, since the paths of sockets are limited.

    `chosen` is in every bottle of their manifests. With the embedded set an engine of this machine, in
    whatever state, is out of the picture.
    """

    def __init__(self, config: str = "", chosen: Mapping[str, Any] = EMBEDDED) -> None:
        self.chosen = chosen
        self.folder = Path(tempfile.mkdtemp(prefix="e2e-"))
        self.home, self.work, self.state, self.run = (self.folder / name for name in ("home", "work", "state", "run"))
        self.config = self.folder / "config" / "claude-bottle"
        for path in (self.home, self.work, self.run, self.folder / "tmp", self.config):
            path.mkdir(parents=True, mode=0o700)
        if chosen == EMBEDDED:
            config += "block: [docker]\n"
        if config:
            (self.config / "config.yaml").write_text(config)
        self.environment = {
            "PATH": f"{BINARIES}:{os.environ.get('PATH', INSIDE)}",
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "TMPDIR": str(self.folder / "tmp"),
            "XDG_CONFIG_HOME": str(self.config.parent),
            "XDG_STATE_HOME": str(self.state),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_RUNTIME_DIR": str(self.run),
        }

    def manifest(self, bottle: Mapping[str, Any] | None = None, agent: Mapping[str, Any] | None = None) -> Path:
        """Write a manifest with the agent `reviewer` in the bottle `dev`; JSON is YAML."""
        bottle = {**self.chosen, **(bottle or {})}
        agents = {"reviewer": {"bottle": "dev", "agent": "shell", **(agent or {})}}
        path = self.work / "bottle.yaml"
        path.write_text(json.dumps({"version": 1, "bottles": {"dev": bottle}, "agents": agents}, indent=1))
        return path

    def bottle(
        self, *words: str, stdin: bytes | str = b"", env: Mapping[str, str] | None = None, timeout: float = DEADLINE
    ) -> Done:
        """Run `bottle` without a terminal."""
        done = subprocess.run(
            [BINARIES / "bottle", *words],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env={**self.environment, **(env or {})},
            cwd=self.work,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode(), done.stdout)

    def start(self, *command: str, options: Sequence[str] = (), **how: Any) -> Done:
        """Run a command in a bottle of `reviewer`, from preflight to teardown."""
        words = ("--", *command) if command else ()
        return self.bottle("start", "reviewer", "--file", "bottle.yaml", "--yes", *options, *words, **how)

    def begin(
        self, *words: str, env: Mapping[str, str] | None = None, stdin: int = PIPE, stderr: int | IO[bytes] = PIPE
    ) -> subprocess.Popen[bytes]:
        """Start `bottle` and leave it running."""
        return subprocess.Popen(
            [BINARIES / "bottle", *words],
            env={**self.environment, **(env or {})},
            cwd=self.work,
            stdin=stdin,
            stdout=PIPE,
            stderr=stderr,
        )

    def in_shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of shell in the user's folder and environment, in which `bottle` is ours."""
        return subprocess.run(
            ["/bin/sh", "-c", line],
            env=self.environment,
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def detached(self, *options: str) -> "Bottle":
        """Start a bottle of `reviewer` that runs until it is stopped."""
        done = self.start(options=("--detach", *options))
        assert done.code == 0, done.err
        return Bottle(self, done.out.strip())

    def events(self) -> list[dict[str, Any]]:
        """Return every event on record."""
        files = sorted((self.state / "claude-bottle" / "events").glob("*.jsonl"))
        return [json.loads(line) for path in files for line in path.read_text().splitlines()]

    def listed(self) -> list[dict[str, Any]]:
        """Return the bottles that run and are theirs: an engine shows those of everybody with the same uid."""
        rows = json.loads(self.bottle("list", "--format", "json").out)["bottles"]
        return [row for row in rows if row["pid"] is not None]

    def close(self) -> None:
        """Stop every bottle and remove the home."""
        if any(not path.is_dir() for path in self.run.rglob("*")):
            for row in self.listed():
                self.bottle("stop", row["name"])
            self.bottle("cleanup", "--yes")
        shutil.rmtree(self.folder)


class Bottle(NamedTuple):
    """A running bottle, by its name."""

    user: User
    name: str

    def exec(self, *words: str, stdin: bytes | str = b"", timeout: float = DEADLINE) -> Done:
        """Run a command in it."""
        return self.user.bottle("exec", self.name, "--", *words, stdin=stdin, timeout=timeout)

    def sh(self, script: str, timeout: float = DEADLINE) -> Done:
        """Run a shell script in it."""
        return self.user.bottle("exec", self.name, stdin=script, timeout=timeout)

    def python(self, script: str, timeout: float = DEADLINE) -> Done:
        """Run a Python script in it, with the interpreter that the bottle has on its PATH."""
        return self.exec("python3", "-", stdin=script, timeout=timeout)


def wait_until(true: Callable[[], object], seconds: float = 10.0) -> bool:
    """Wait until something is true, and say whether it is."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
