"""Which manifest holds here, and what the paths in it are relative to."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from claude_bottle.errors import BottleError, NotFoundError

__all__ = ["FILE_VARIABLE", "MANIFEST_NAME", "Found", "How", "find_manifest", "resolve_path"]

MANIFEST_NAME = "bottle.yaml"
FILE_VARIABLE = "CLAUDE_BOTTLE_FILE"
INIT_HINT = "run bottle init to write one, or name one with --file"

How = Literal["flag", "environment", "here", "config", "nowhere"]
"""Named with `--file`, by `CLAUDE_BOTTLE_FILE`, found here or above, or in the user's config folder.

`nowhere`: there is none, and a plain one is made up for an agent plugin.
"""


class Found(NamedTuple):
    """A manifest's absolute path, and how it was found."""

    path: Path
    how: How


def find_manifest(file: Path | None, environ: Mapping[str, str], cwd: Path, config_dir: Path) -> Found:
    """Return the manifest that holds in `cwd`.

    `--file` goes before `CLAUDE_BOTTLE_FILE` (empty is unset), before `bottle.yaml` here or above, before the
    user's own. The climb ends at the git root. Where there is none it ends at the home folder or `/`, and
    passes over what another user has put above `cwd`: nobody can lay a manifest in `/tmp` for everyone.
    BottleError when a named file is not there, NotFoundError when none is found.
    """
    if file is not None:
        return Found(named(cwd / file, "--file"), "flag")
    if given := environ.get(FILE_VARIABLE):
        return Found(named(cwd / given, FILE_VARIABLE), "environment")
    for path in candidates(cwd, Path(environ.get("HOME") or Path.home())):
        if path.is_file():
            return Found(path, "here")
    if (own := config_dir / MANIFEST_NAME).is_file():
        return Found(own, "config")
    raise NotFoundError(f"no {MANIFEST_NAME} here, above, or in {config_dir}", INIT_HINT)


def named(path: Path, by: str) -> Path:
    """Return a path that somebody named, once there is a file; a pipe will do."""
    if path.is_dir():
        raise BottleError(f"{by}: {path} is a folder", f"name the file in it: {path / MANIFEST_NAME}")
    if not path.exists():
        raise BottleError(f"{by}: there is no file {path}", INIT_HINT)
    return path


def candidates(cwd: Path, home: Path) -> Iterator[Path]:
    """Yield where a manifest may lie, the nearest first."""
    folders = [cwd, *cwd.parents]
    root = next((folder for folder in folders if os.path.lexists(folder / ".git")), None)
    for folder in folders:
        path = folder / MANIFEST_NAME
        if root is not None or folder == cwd or is_ours(path):
            yield path
        if folder == (root or home):
            return


def is_ours(path: Path) -> bool:
    """Whether a file is there and belongs to this user or to root."""
    try:
        return path.stat().st_uid in (0, os.geteuid())
    except OSError:
        return False


def resolve_path(manifest: Path, text: str, home: Path) -> Path:
    """Return a path that a manifest names: `~` is `home`, a relative one starts at the manifest's folder."""
    if text == "~" or text.startswith("~/"):
        return home / text[2:]
    return manifest.parent / text
