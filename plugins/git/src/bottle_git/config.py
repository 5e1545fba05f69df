"""A repository's own configuration, read as a file by `git config`: nothing that it includes, and nothing is run."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bottle_git.source import Repository
from claude_bottle.errors import BottleError, UnavailableError

__all__ = ["environment", "list_file", "no_git", "object_form", "own_settings", "read_config"]

TRUE = {"", "true", "yes", "on", "1"}
"""How a configuration says yes; a key without a value is one too."""
PLAIN = re.compile(r"\w[\w.-]*", re.ASCII)


def environment(**more: str) -> dict[str, str]:
    """Return what git may know of this machine's user: a PATH, and no configuration of anybody."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        **more,
    }


def object_form(repository: Repository) -> str:
    """Return how objects are named; BottleError for a repository that we do not know how to read, with the cure."""
    settings = dict(own_settings(repository))
    storage = settings.get("extensions.refstorage", "files")
    if storage != "files":
        raise BottleError(f"{repository.common} keeps its branches as {storage}", "git refs migrate --ref-format=files")
    for name, value in settings.items():
        if name.startswith("remote.") and name.endswith(".promisor") and value.lower() in TRUE:
            cure = cure_of(name.removeprefix("remote.").removesuffix(".promisor"))
            raise BottleError(f"{repository.common} is a partial clone: some of its objects are elsewhere", cure)
    return settings.get("extensions.objectformat", "sha1")


def cure_of(remote: str) -> str:
    """Return what makes a partial clone whole, to be pasted: so a name that means anything to a shell is not in it."""
    if PLAIN.fullmatch(remote):
        return f"git fetch --refetch --no-filter {remote} && git config --unset remote.{remote}.promisor"
    return "clone it anew, without --filter"


def own_settings(repository: Repository) -> Iterator[tuple[str, str]]:
    """Yield key and value of what stands in a repository's own file."""
    yield from list_file(repository.common / "config")


def list_file(file: Path) -> Iterator[tuple[str, str]]:
    """Yield key and value of what stands in a file of git's: nothing that it includes, nothing is run."""
    words = ["--no-includes", "--file", str(file), "--list", "-z"]
    for row in read_config(words, environment(GIT_DIR="/nonexistent")).split("\0")[:-1]:
        key, _, value = row.partition("\n")
        yield key, value


def read_config(words: Sequence[str], env: Mapping[str, str]) -> str:
    """Return what `git config` prints, nothing where it fails; UnavailableError without git."""
    argv = ["git", "config", *words]
    try:
        done = subprocess.run(argv, env=env, cwd="/", capture_output=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise no_git() from error
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else ""


def no_git() -> UnavailableError:
    """Return what there is to say where git is missing."""
    return UnavailableError("git is not installed on this machine", "apt-get install git")
