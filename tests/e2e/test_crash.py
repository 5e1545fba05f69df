"""A launcher that is killed outright, at any moment, takes its bottle with it, and `cleanup` removes what it left."""

import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from e2e_suicide import PHASES, SUICIDE
from e2e_upstream import ALLOWED, Internet
from e2e_user import User, wait_until

START = ("start", "reviewer", "--file", "bottle.yaml", "--yes")
PR_SET_CHILD_SUBREAPER = 36
CLEAN = "nothing is left over\n"
OTHERS: set[int] = set()
"""What ran below this process before the test: fixtures of other tests keep proxies of their own."""
BEFORE: set[Path] = set()
"""Control groups that were empty before the test: what runs that were killed left on this machine is not of ours."""
RUN_UIDS = Path("/run/claude-bottle-uids")


@pytest.fixture(autouse=True)
def adopt_orphans() -> Iterator[None]:
    """Make this process the parent of what a killed launcher leaves, so that nothing of it escapes the count."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    OTHERS.clear()
    OTHERS.update(children(os.getpid()))
    BEFORE.clear()
    BEFORE.update(stale_groups())
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def orphans() -> list[str]:
    """Return the command lines of all that this test has below this process; what ended is collected first."""
    return [line for pid in children(os.getpid()) if pid not in OTHERS for line in tree(pid)]


def tree(pid: int) -> list[str]:
    """Return the command line of a process and of all below it."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return []
    if state == "Z":
        with suppress(ChildProcessError):  # a zombie deeper down is its own parent's to collect
            os.waitpid(pid, os.WNOHANG)
        return []
    return [line, *(below for child in children(pid) for below in tree(child))]


def children(pid: int) -> list[int]:
    """Return the children of all threads of a process."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for file in files for word in file.read_text().split()]


def stale_uids() -> set[str]:
    """Return the uids of root's bottles that no process holds; nobody else can see them."""
    return {path.name for path in RUN_UIDS.iterdir() if is_free(path)} if os.access(RUN_UIDS, os.R_OK) else set()


def is_free(folder: Path) -> bool:
    """Say whether nobody holds the lock of a folder."""
    try:
        lock = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def stale_groups() -> set[Path]:
    """Return the control groups of bottles of `reviewer` in which nothing runs; in those of others something does."""
    top = Path("/sys/fs/cgroup")
    try:
        return {path for path in top.glob("**/claude-bottle-reviewer-*") if is_empty(path)}
    except FileNotFoundError:  # one went while it was looked at, so nothing is known yet
        return {top}


def is_empty(group: Path) -> bool:
    """Say whether a control group is there without a process."""
    try:
        return (group / "cgroup.procs").read_text() == ""
    except OSError:
        return False


def assert_nothing_is_left(user: User) -> None:
    """No process at once, and no file but the events after a cleanup that asks nobody."""
    assert wait_until(lambda: orphans() == []), orphans()
    assert user.listed() == []
    done = user.bottle("cleanup", "--yes")
    assert done.code == 0, done.err
    files = {path for path in user.folder.rglob("*") if not path.is_dir()}
    events = user.state / "claude-bottle" / "events"
    expected = {user.work / "bottle.yaml", user.config / "config.yaml"}
    assert {path for path in files - expected if path.parent != events} == set()
    # Groups and uids are of the whole machine, where others may launch or crash at this moment: look again for a while.
    assert wait_until(lambda: stale_groups() <= BEFORE), stale_groups() - BEFORE
    assert wait_until(lambda: user.bottle("cleanup", "--yes").err == CLEAN and stale_uids() == set()), stale_uids()


@pytest.mark.parametrize("end", ["begin", "end"])
@pytest.mark.parametrize("where", PHASES)
def test_a_kill_at_any_phase_leaves_no_process_and_no_file(where: str, end: str, user: User) -> None:
    """S14, S30: SIGKILL at either end of each phase of a launch, and of its removal."""
    words = [sys.executable, "-c", SUICIDE, end, where, *START, "--", "true"]
    done = subprocess.run(words, env=user.environment, cwd=user.work, capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert_nothing_is_left(user)


def test_a_phase_of_that_name_exists(user: User) -> None:
    """The phases of the test above are all there are, so none goes untested."""
    shown = user.start("true", options=("--timings",)).err
    report = shown[shown.index("site") :].splitlines()
    assert {line.rsplit(maxsplit=2)[0] for line in report} == {*PHASES, "sum"} - {"provision 2"}


@pytest.mark.parametrize("delay", [0.05, 0.12, 0.2, 0.3, 0.45])
def test_a_kill_at_any_moment_leaves_no_process_and_no_file(delay: float, user: User) -> None:
    """S14, S30: SIGKILL from outside, in the middle of whatever is being done."""
    process = user.begin(*START, "--", "sleep", "60")
    time.sleep(delay)
    process.kill()
    process.communicate(timeout=20)
    assert_nothing_is_left(user)


@pytest.mark.parametrize("detach", [False, True])
def test_a_kill_ends_the_agent_too(detach: bool, user: User, internet: Internet) -> None:
    """What runs inside ends by itself when its launcher is killed, with all it has started; only its events stay."""
    script = f"sleep 64 & curl -s https://{ALLOWED}/up-{detach}; setsid sleep 65"
    process = user.begin(*START, *(["--detach"] if detach else []), "--", "sh", "-c", script)
    assert wait_until(lambda: any(seen.target == f"/up-{detach}" for seen in internet.seen))
    assert wait_until(lambda: any("sleep 65" in line for line in orphans()))
    [row] = user.listed()
    os.kill(row["pid"], signal.SIGKILL)
    process.communicate(timeout=20)
    assert_nothing_is_left(user)
    assert [event["path"] for event in user.events()] == [f"/up-{detach}"]


def test_a_kill_on_the_way_in_leaves_a_folder_that_is_listed_and_removed(user: User) -> None:
    """S30: what git was making in the user's cache for a workspace; while its launch lives it is no leftover."""
    programs = user.folder / "programs"
    programs.mkdir()
    slow = programs / "git"
    slow.write_text(f'#!/bin/sh\n[ "$1" != pack-objects ] || exec sleep 3\nexec {shutil.which("git")} "$@"\n')
    slow.chmod(0o755)
    subprocess.run(["git", "init", "-q", user.work], check=True)
    env = {"PATH": f"{programs}:{user.environment['PATH']}"}
    process = user.begin(*START, "--cwd", env=env)
    scratches = user.folder / "cache" / "claude-bottle" / "git"
    assert wait_until(lambda: list(scratches.glob("scratch-*/in")))
    assert "scratch" not in user.bottle("cleanup", "--dry-run").out
    process.kill()
    process.communicate(timeout=20)
    assert wait_until(lambda: orphans() == []), orphans()
    assert re.search(r"^workspace: folder .*/scratch-", user.bottle("cleanup", "--dry-run").out, re.MULTILINE)
    shutil.rmtree(user.work / ".git")
    slow.unlink()
    assert_nothing_is_left(user)


def test_cleanup_lists_and_asks(user: User) -> None:
    """S30, S33: what a crash left is shown; nothing is removed by a dry run, nor without a yes."""
    words = [sys.executable, "-c", SUICIDE, "end", "proof", *START]
    subprocess.run(words, env=user.environment, cwd=user.work, capture_output=True, check=False, timeout=60)
    assert wait_until(lambda: orphans() == [])
    listed = user.bottle("cleanup", "--dry-run")
    assert (listed.code, "claude-bottle-reviewer" in listed.out) == (0, True)
    asked = user.bottle("cleanup")
    assert (asked.code, "no terminal" in asked.err) == (1, True)
    assert set(listed.out.splitlines()) <= set(user.bottle("cleanup", "--dry-run").out.splitlines())
    assert_nothing_is_left(user)


def test_cleanup_leaves_the_living_alone(user: User) -> None:
    """S30: a bottle that runs is no leftover, and neither is its name free."""
    bottle = user.detached()
    assert wait_until(lambda: user.bottle("cleanup", "--yes").err == CLEAN)
    assert user.listed() != []
    assert bottle.exec("true").code == 0
