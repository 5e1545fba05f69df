"""The only repositories that git is run in on this machine: our own, made for one task, with nothing to execute.

A repository of the user's, or of whoever gave it to them, lends its objects and no more. git never reads its
configuration, attributes, hooks or index in place.
"""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bottle_git.config import environment, no_git, object_form
from bottle_git.held import held_folder
from bottle_git.source import Repository, read_small
from claude_bottle.errors import BottleError
from claude_bottle.seam.folders import private_dir, state_dir

__all__ = ["Scratch", "kept_repository", "open_scratch"]

DEADLINE = 900.0
"""Seconds for one command of git: a pack from inside may be made to take for ever."""

CONFIG = """\
[core]
\trepositoryformatversion = {version}
\tbare = false
\tlogAllRefUpdates = false
\thooksPath = /dev/null
\tattributesFile = /dev/null
[gc]
\tauto = 0
[protocol]
\tallow = never
[transfer]
\tfsckObjects = true
{extensions}"""


class Scratch:
    """One of our own, which borrows the objects of `repository`; `tree` is the working tree that it looks at."""

    def __init__(self, path: Path, repository: Repository | None, form: str) -> None:
        self.path = path
        self.form = form
        self._env = environment(GIT_DIR=str(path / "git"))
        self.tree = repository.tree if repository is not None else path
        self._env["GIT_WORK_TREE"] = str(self.tree)

    @property
    def git(self) -> Path:
        """Its folder, which holds HEAD, index and objects."""
        return self.path / "git"

    def run(
        self,
        *words: str | bytes,
        stdin: bytes | IO[bytes] = b"",
        env: Mapping[str, str] | None = None,
        hint: str | None = None,
    ) -> bytes:
        """Run git and return its stdout; BottleError with its own last words if it fails."""
        done = self._run(words, stdin, env or {})
        if done.returncode != 0:
            raise BottleError(f"git {os.fsdecode(words[0])}: {last_words(done.stderr)}", hint)
        return done.stdout

    def holds(self, *words: str) -> bool:
        """Run git and return what it says by its exit code, 0 or 1; BottleError for another one."""
        done = self._run(words, b"", {})
        if done.returncode not in {0, 1}:
            raise BottleError(f"git {words[0]}: {last_words(done.stderr)}")
        return done.returncode == 0

    def _run(
        self, words: Sequence[str | bytes], stdin: bytes | IO[bytes], more: Mapping[str, str]
    ) -> subprocess.CompletedProcess[bytes]:
        env = {**self._env, **more}
        try:
            with self._input(stdin) as file:
                argv, place = ["git", *words], self.path
                return subprocess.run(
                    argv, env=env, cwd=place, stdin=file, capture_output=True, timeout=DEADLINE, check=False
                )
        except FileNotFoundError as error:
            raise no_git() from error
        except subprocess.TimeoutExpired as error:
            raise BottleError(f"git {os.fsdecode(words[0])} did not end within {DEADLINE:g} s") from error

    @contextmanager
    def _input(self, stdin: bytes | IO[bytes]) -> Generator[IO[bytes]]:
        if not isinstance(stdin, bytes):
            yield stdin
            return
        with tempfile.TemporaryFile(dir=self.path) as file:
            file.write(stdin)
            file.seek(0)
            yield file

    def lines(self, *words: str, stdin: bytes = b"") -> list[str]:
        """Return the lines of git's stdout."""
        return self.run(*words, stdin=stdin).decode("utf-8", "surrogateescape").split("\n")[:-1]

    def file(self, name: str, lines: Iterable[str]) -> IO[bytes]:
        """Return a file of these lines, open at its beginning."""
        path = self.path / name
        path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
        return path.open("rb")

    def know(self, objects: Iterable[str]) -> None:
        """Give names to what was there before, so that `--not --all` leaves it out; what is not there has none."""
        asked = "".join(f"{it}\n" for it in sorted(set(objects)))
        answers = self.lines("cat-file", "--batch-check=%(objectname)", stdin=asked.encode())
        rows = (f"{it} refs/known/{number}\n" for number, it in enumerate(answers) if " " not in it)
        (self.git / "packed-refs").write_text("".join(rows))

    def known(self) -> list[str]:
        """Return what was there before."""
        return self.lines("for-each-ref", "--format=%(objectname)")


def last_words(stderr: bytes) -> str:
    """Return the first line of what git said that is an error, cut short."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines() or ["it failed without a word"]
    return next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1])[:300]


@contextmanager
def open_scratch(repository: Repository | None) -> Generator[Scratch]:
    """Make a repository of our own, and remove it afterwards."""
    with held_folder() as path:
        form = object_form(repository) if repository else "sha1"
        scratch = Scratch(path, repository, form)
        _lay(scratch.git, repository, form)
        yield scratch


def _lay(git: Path, repository: Repository | None, form: str) -> None:
    for name in ("refs", "objects/pack", "objects/info", "info"):
        (git / name).mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/none\n")
    other = form != "sha1"
    extensions = f"[extensions]\n\tobjectFormat = {form}\n" if other else ""
    (git / "config").write_text(CONFIG.format(version=int(other), extensions=extensions))
    if repository is not None:
        (git / "objects/info/alternates").write_bytes(quoted(os.fsencode(repository.objects)) + b"\n")
        if (repository.common / "shallow").is_file():
            (git / "shallow").write_bytes(read_small(repository.common / "shallow", 1 << 24))


def kept_repository(folder: Path) -> Repository:
    """Return the user's repository for work in a folder that has none, made where it is not there yet."""
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
    git = private_dir(private_dir(state_dir()) / "workspaces") / f"{folder.name}-{digest}.git"
    if not git.is_dir():
        private_dir(git)
        _lay(git, None, "sha1")
    return Repository(folder, git, git)


def quoted(path: bytes) -> bytes:
    """Return a path as git quotes it, so that no newline or quote of it means anything."""
    plain = b"".join(
        bytes([byte]) if 0x20 <= byte < 0x7F and byte not in b'"\\' else b"\\%03o" % byte  # noqa: PLR2004 - printable ASCII
        for byte in path
    )
    return b'"' + plain + b'"'
