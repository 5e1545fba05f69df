"""What Claude Code keeps of itself between the launches of one agent: its own folder, without credentials."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tarfile import TarError

from msgspec.structs import replace

from claude_bottle.errors import LaunchError, NotFoundError
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.folders import private_dir, state_dir
from claude_bottle.seam.tree import Entry, FileEntry, pack, unpack

__all__ = ["RESTORE_TIMES", "keep_state", "kept_state", "state_file"]

TIMES = ".bottle-times"
"""A file of the archive: when each other file was written last, by which Claude Code tells its newest session."""
READ_TIMES = "cd {path} && find . -type f -exec stat -c '%Y %n' {{}} +"
RESTORE_TIMES = f"""
cd {{path}} && [ -f {TIMES} ] || exit 0
while read -r at file; do touch -c -d "@$at" "$file"; done <{TIMES}
rm {TIMES}
"""
PATIENCE = 30.0

LEFT_OUT = frozenset(
    {
        TIMES,
        *(".credentials.json", "backups"),
        *("settings.json", "settings.local.json", "remote-settings.json", "remote-settings.json.synced-at"),
        *("CLAUDE.md", "agents", "skills"),
    }
)
"""Logins and copies of a file that holds a part of the key; settings, also the service's; what each launch puts in."""


def state_file(slug: str, folder: str) -> Path:
    """Return where an agent's state is kept: one of the same name in another manifest's folder has its own."""
    digest = hashlib.sha256(folder.encode()).hexdigest()[:12]
    return state_dir() / "claude" / f"{slug}-{digest}.tar"


def kept_state(plan: Plan, below: str) -> Iterator[Entry]:
    """Yield what the last launch kept, with names below a folder; nothing where there was none.

    LaunchError for a file that holds no such thing.
    """
    kept = state_file(plan.slug, plan.folder)
    try:
        with kept.open("rb") as file:
            for entry in unpack(file):
                yield replace(entry, name=str(PurePosixPath(below, entry.name)))
    except FileNotFoundError:
        return
    except (OSError, TarError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise LaunchError(f"the kept state {kept} cannot be read: {why}", "remove it to begin anew") from error


def keep_state(bottle: Bottle, plan: Plan, path: str) -> str:
    """Keep the tree at `path` in the bottle as an archive (0600), never unpacked here, and return a line about it."""
    file = state_file(plan.slug, plan.folder)
    try:
        entries = [it for it in bottle.get(path) if not LEFT_OUT & set(PurePosixPath(it.name).parts[:1])]
    except NotFoundError:
        return "state: nothing to keep"
    entries.append(FileEntry(TIMES, bottle.exec(READ_TIMES.format(path=path), timeout=PATIENCE).stdout, 0o600))
    new = private_dir(file.parent) / f"{file.name}.{os.getpid()}"
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            pack(entries, stream)
        new.replace(file)
    except OSError as error:
        raise LaunchError(f"the state cannot be kept in {file}: {error.strerror}") from error
    finally:
        new.unlink(missing_ok=True)
    return f"state: kept for the next launch in {file}"
