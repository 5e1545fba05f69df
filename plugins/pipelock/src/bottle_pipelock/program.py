"""The program on PATH, where it is run as a process of this machine."""

import os
import shutil
import subprocess
from pathlib import Path

from claude_bottle.errors import UnavailableError
from claude_bottle.seam.probe import Finding

__all__ = ["examine", "find_program"]

VERSION = "2.3.0"
CURE = f"put pipelock {VERSION} on PATH, or choose another proxy"
PATIENCE = 10.0


def find_program() -> str:
    """Return its path; UnavailableError if there is none."""
    if found := shutil.which("pipelock"):
        return found
    raise UnavailableError("pipelock is not on PATH", CURE)


def examine() -> Finding:
    """Run it once for its version, to another of which an unknown key of its configuration is fatal.

    What root starts it does not run as: it must be a program of everybody's then.
    """
    what = "pipelock"
    try:
        program = find_program()
        done = subprocess.run([program, "version"], check=False, capture_output=True, text=True, timeout=PATIENCE)
    except UnavailableError as error:
        return Finding(what=what, ok=False, detail=error.message, cure=error.hint)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(what=what, ok=False, detail=f"it does not run: {error}", cure=CURE)
    said = (done.stdout + done.stderr).strip().partition("\n")[0]
    ok = f"version {VERSION}" in said
    if ok and os.geteuid() == 0 and not is_everybodys(Path(program)):
        detail = f"{program} can be run by root alone, as which no proxy runs"
        return Finding(what=what, ok=False, detail=detail, cure="put it where everybody can run it: /usr/local/bin")
    return Finding(what=what, ok=ok, detail=said if ok else f"{program} says {said!r}", cure=None if ok else CURE)


def is_everybodys(program: Path) -> bool:
    """Say whether a uid that is nobody's can run a program: links resolved, it and each folder above it."""
    program = program.resolve()
    return all(path.stat().st_mode & 0o001 for path in (program, *program.parents))
