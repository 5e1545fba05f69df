"""The program on PATH, where it is run as a process of this machine."""

import shutil
import subprocess

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
    """Run it once for its version: an unknown key of its configuration is fatal to another one."""
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
    return Finding(what=what, ok=ok, detail=said if ok else f"{program} says {said!r}", cure=None if ok else CURE)
