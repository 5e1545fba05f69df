"""Owners: whether the process behind a launch still runs."""

import os
import subprocess
import sys

from msgspec.structs import replace

from claude_bottle.seam.owner import Owner, start_time


def test_this_process_is_alive() -> None:
    """The owner that a launch writes down is seen as alive."""
    owner = Owner.current()
    assert owner.pid == os.getpid()
    assert owner.alive() is True


def test_a_process_that_ended_is_dead() -> None:
    """S30: once a process is gone, and already as a zombie, its launch has no owner."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = replace(Owner.current(), pid=process.pid, start=start_time(process.pid) or 0)
    assert owner.alive() is True
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert owner.alive() is False
    process.communicate()
    assert owner.alive() is False


def test_a_reused_pid_is_another_process() -> None:
    """A process with the same number that began at another time is not the owner."""
    assert replace(Owner.current(), start=1).alive() is False


def test_nothing_lives_across_a_boot() -> None:
    """Pids and start times of an earlier boot say nothing."""
    assert replace(Owner.current(), boot="an-earlier-boot").alive() is False


def test_of_another_machine_nobody_knows() -> None:
    """N17: an owner on another machine is neither alive nor dead, so nothing of it is ever removed."""
    assert replace(Owner.current(), machine="another").alive() is None


def test_a_program_s_name_does_not_confuse_the_start_time() -> None:
    """A parenthesis or a space in the name of a program shifts no field."""
    code = "import ctypes; ctypes.CDLL(None).prctl(15, b') R 1 2 (', 0, 0, 0); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        before = start_time(process.pid)
        assert process.stdout is not None
        process.stdout.readline()
        assert start_time(process.pid) == before
        process.kill()
