"""What a command in a sandbox is beside what every backend promises (`claude_bottle.testing`)."""

import time
from pathlib import Path

import pytest

from bottle_bwrap.bottle import BwrapBottle
from claude_bottle.errors import UnavailableError
from claude_bottle.testing.commands import host_command_lines, no_process


def test_there_is_no_root_inside(bottle: BwrapBottle) -> None:
    """S20, K1: the backend's traits do not have it, so it is refused, not ignored."""
    with pytest.raises(UnavailableError):
        bottle.exec("id", root=True)


def test_a_forwarded_value_is_seen_by_nobody_on_the_host(bottle: BwrapBottle, runtime: Path) -> None:
    """S1, S2: it is in no command line, no environment and no file of the host; nor in the bottle's repr."""
    assert bottle.exec("echo $FORWARDED").stdout == b"hidden-5e1f\n"
    files = [path.read_bytes() for path in runtime.rglob("*") if path.is_file()]
    assert files
    assert not any(b"hidden-5e1f" in data for data in files)
    assert "hidden-5e1f" not in repr(bottle)
    begun = [line for line in host_command_lines().splitlines() if "/.bottle" in line]
    assert begun
    assert "hidden-5e1f" not in "\n".join(begun)


def test_output_without_end_is_cut_off(bottle: BwrapBottle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is inside cannot fill the memory of the launcher."""
    monkeypatch.setattr("bottle_bwrap.streams.MOST", 1 << 20)
    with pytest.raises(Exception, match="more than 1 MiB"):
        bottle.exec("exec cat /dev/zero")
    assert no_process(bottle, "cat /dev/zero")


def test_a_round_trip_is_fast(bottle: BwrapBottle) -> None:
    """A command costs a fork, not a start of an interpreter: 10 ms are the goal, on a busy machine too."""
    times: list[float] = []
    for _ in range(30):
        begin = time.perf_counter()
        bottle.exec("", argv=["/bin/true"])
        times.append(time.perf_counter() - begin)
    assert sorted(times)[len(times) // 2] < 0.01
