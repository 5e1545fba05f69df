"""What comes along of git's configuration: who the user is, and where the repository's remotes are. Nothing else."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bottle_git.scratch import environment
from bottle_git.source import Repository

__all__ = ["list_file", "public_url", "read_identity", "read_settings", "user_excludes"]

KEPT = re.compile(r"(remote)\.(.+)\.(url|pushurl|fetch)|(branch)\.(.+)\.(remote|merge)", re.DOTALL)
WEB = {"http", "https", "git"}
SCP = re.compile(r"(?:[\w.+-]+@)?[\w.-]+:(?!//)\S*")


def read_identity(repository: Repository) -> tuple[str, str]:
    """Return name and e-mail, empty where there are none: the repository's own, else the user's."""
    own = dict(_listed(repository))
    return (
        own.get("user.name") or _users_own("user.name", repository),
        own.get("user.email") or _users_own("user.email", repository),
    )


def read_settings(repository: Repository) -> str:
    """Return remotes and what branches follow, in the form of a configuration file, without any credential."""
    text = ""
    for key, value in _listed(repository):
        found = KEPT.fullmatch(key)
        if found is None:
            continue
        section, name, field = (it for it in found.groups() if it is not None)
        kept = public_url(value) if field in {"url", "pushurl"} else value
        if kept:
            text += f'[{section} "{_escaped(name)}"]\n\t{field} = "{_escaped(kept)}"\n'
    return text


def public_url(url: str) -> str:
    """Return a URL without what may be a credential, empty for one that means nothing elsewhere (a path, a helper)."""
    if SCP.fullmatch(url) and "://" not in url:
        return url
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if not host or parts.scheme not in WEB | {"ssh"}:
        return ""
    user = f"{parts.username}@" if parts.scheme == "ssh" and parts.username else ""
    return urlunsplit((parts.scheme, f"{user}{host}{port}", parts.path, "", ""))


def user_excludes() -> str:
    """Return the user's own file of what is ignored everywhere; it need not exist."""
    configured = _config(["--global", "--includes", "--type=path", "--get", "core.excludesFile"], _as_user())
    folder = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return configured.rstrip("\n") or f"{folder}/git/ignore"


def _listed(repository: Repository) -> Iterator[tuple[str, str]]:
    yield from list_file(repository.common / "config")


def list_file(file: Path) -> Iterator[tuple[str, str]]:
    """Yield key and value of what stands in a file of git's: nothing that it includes, nothing is run."""
    words = ["--no-includes", "--file", str(file), "--list", "-z"]
    for row in _config(words, environment(GIT_DIR="/nonexistent")).split("\0")[:-1]:
        key, _, value = row.partition("\n")
        yield key, value


def _users_own(key: str, repository: Repository) -> str:
    """Return what the user's own configuration has for this repository: it may depend on where that lies."""
    words = ["--global", "--includes", "--get", key]
    return _config(words, {**_as_user(), "GIT_DIR": str(repository.git)}).rstrip("\n")


def _as_user() -> dict[str, str]:
    names = ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "PATH")
    return {name: os.environ[name] for name in names if name in os.environ}


def _config(words: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(["git", "config", *words], env=env, cwd="/", capture_output=True, timeout=60, check=False)
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
