"""`bottle` in surroundings that nobody would choose: streams that are closed, folders that are gone or another's."""

import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from e2e_user import User

from bottle_bwrap.record import Process, Record, write_record
from bottle_bwrap.streams import MOST
from claude_bottle.seam.owner import Launch, Owner, start_time

FOREIGN = 12345


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_nobody_s(closed: str, user: User) -> None:
    """A stream that we are started without reads as empty and takes everything; no socket gets its number."""
    command = "cat; echo said; echo complained >&2; exit 7"
    done = user.in_shell(f"bottle start reviewer -f bottle.yaml --yes -- sh -c {shlex.quote(command)} {closed}")
    assert done.returncode == 7, done.stderr
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "said\n")
    assert ("complained" in done.stderr) == ("2>&-" not in closed)


def test_a_detached_bottle_needs_no_stream(user: User) -> None:
    """A service that starts a bottle without any stream gets one that answers."""
    assert user.in_shell("bottle start reviewer -f bottle.yaml --yes --detach <&- >&- 2>&-").returncode == 0
    assert user.in_shell("bottle exec reviewer -- echo answered <&-").stdout == "answered\n"


def test_a_folder_that_is_gone_is_said_to_be(user: User) -> None:
    """From a folder that was removed, `start` ends with an error of ours and no traceback."""
    (user.folder / "gone").mkdir()
    done = user.in_shell(
        f"cd ../gone && rmdir ../gone && bottle start reviewer -f {user.work}/bottle.yaml --yes -- true"
    )
    assert done.returncode == 125
    assert done.stderr.startswith("error: the folder that this runs in is gone")


def test_output_that_nobody_keeps_has_no_limit(user: User) -> None:
    """What a command writes into our own stdout is passed on, however much it is."""
    size = MOST + (1 << 20)
    with user.begin(
        "start", "reviewer", "-f", "bottle.yaml", "--yes", "--", "head", "-c", str(size), "/dev/zero"
    ) as it:
        assert it.stdin
        assert it.stdout
        it.stdin.close()
        got = 0
        while chunk := it.stdout.read(1 << 20):
            got += len(chunk)
        assert it.wait(30) == 0
    assert got == size


@pytest.mark.root
@pytest.mark.parametrize("command", ["cleanup --yes", "list", "stop evil", "exec evil -- id", "allow evil example.com"])
def test_another_user_s_records_end_no_process(command: str, user: User) -> None:
    """Where anybody can make our runtime folder before us, no record in it is read: it names processes to kill."""
    ours = subprocess.Popen(["sleep", "60"])
    try:
        folder = lay_record(user.run / "claude-bottle", ours.pid)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, FOREIGN, FOREIGN)
        done = user.bottle(*command.split())
        assert done.code != 0
        assert "not a folder of yours" in done.err
        assert ours.poll() is None
        for path in (folder, *folder.rglob("*")):  # phase 2: the same record kills where it is our own
            os.chown(path, 0, 0)
        if command.startswith("cleanup"):
            assert user.bottle("cleanup", "--yes").code == 0
            assert ours.wait(10) == -signal.SIGKILL
    finally:
        ours.kill()
        ours.wait()
        shutil.rmtree(user.run / "claude-bottle")


def lay_record(folder: Path, pid: int) -> Path:
    """Write what a dead launch would have left, naming a process that lives."""
    site = folder / "bwrap" / "claude-bottle-evil"
    site.mkdir(parents=True, mode=0o700)
    me = Owner.current()
    dead = Owner(me.machine, me.boot, 1 << 22, 1)
    processes = (Process(pid, start_time(pid) or 0),)
    launch = Launch(label="aa", owner=dead)
    write_record(site, Record(name=site.name, slug="evil", bottle="dev", launch=launch, processes=processes))
    return folder
