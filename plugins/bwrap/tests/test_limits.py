"""What one bottle takes from this machine: processes, files and memory end where its limits are."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottle_bwrap.bottle import BwrapBottle
from bottle_bwrap.cgroup import Parents, find_parents, own_groups
from bottle_bwrap.limits import find_limits
from bottle_bwrap.section import BwrapSection, bytes_of, size_problems

Start = Callable[..., BwrapBottle]

BOMB = """
import os, signal, time
count = 0
try:
    for count in range(3000):
        if os.fork() == 0:
            signal.pause()
except OSError as error:
    print(count, error.strerror)
"""


def test_a_fork_bomb_ends_at_the_limit(start: Start, python: str) -> None:
    """K1: forks fail at the limit, while the host and the bottle beside it go on as if nothing were."""
    bottle, beside = start(BwrapSection(processes=80)), start(BwrapSection(processes=80), slug="beside")
    result = bottle.exec(f"{python} -I -S -c '{BOMB}'; echo $?")
    count, _, error = result.stdout.decode().splitlines()[0].partition(" ")
    assert error == "Resource temporarily unavailable"
    assert 60 <= int(count) <= 80
    assert beside.exec("echo alive").stdout == b"alive\n"
    assert subprocess.run(["true"], check=False).returncode == 0
    bottle.stop()
    assert bottle.state == "stopped"


def test_the_launcher_reaches_a_bottle_that_is_full_of_processes(start: Start, python: str) -> None:
    """The agent server itself may fork beyond the limit: a fork bomb does not lock its owner out."""
    bottle = start(BwrapSection(processes=40))
    bottle.exec(f"{python} -I -S -c '{BOMB}' & sleep 0.5")
    assert bottle.look([], ["localhost"]).resolved in {(True,), (False,)}
    assert bottle.exec("", argv=["/bin/true"]).returncode == 0


@pytest.mark.parametrize("place", ["/tmp", "/home/agent", "/workspace"])
def test_a_full_folder_is_full_for_this_bottle_alone(start: Start, place: str) -> None:
    """K1: its size is the limit, not the memory of the host; the bottle beside it can still write."""
    section = BwrapSection(tmp="2m", home="2m", workspace="2m")
    bottle, beside = start(section), start(section, slug="beside")
    fill = f"head -c 3000000 /dev/zero > {place}/big"
    result = bottle.exec(f"{fill}; stat -c %s {place}/big; df --output=size -B1 {place}")
    size, _, total = result.stdout.decode().split()
    assert b"No space left" in result.stderr
    assert int(size) <= 2 << 20
    assert int(total) == 2 << 20
    assert beside.exec(f"head -c 1000000 /dev/zero > {place}/big").returncode == 0


@pytest.mark.parametrize("place", ["/dev/shm", "/run", "/var/tmp"])
def test_every_other_folder_has_a_size_too(start: Start, place: str) -> None:
    """K1: there is no tmpfs in a bottle for which the host's memory is the limit."""
    result = start().exec(f"head -c 70000000 /dev/zero > {place}/big")
    assert b"No space left" in result.stderr


def test_memory_ends_at_the_limit(start: Start, python: str) -> None:
    """K1: what takes more is killed, and the bottle goes on."""
    if "memory" not in find_parents().folders:
        pytest.skip("needs a control group: run as root, or in a delegated one (systemd-run --user)")
    bottle = start(BwrapSection(memory="100m"))
    result = bottle.exec("", argv=[python, "-I", "-S", "-c", "x = bytearray(300 << 20); print(len(x))"])
    assert result.returncode == 137
    assert bottle.exec("echo alive").stdout == b"alive\n"
    small = bottle.exec("", argv=[python, "-I", "-S", "-c", "x = bytearray(30 << 20); print(len(x))"])
    assert small.stdout == b"31457280\n"


def test_no_control_group_outlives_its_bottle(start: Start) -> None:
    """Teardown leaves nothing in the control groups of this machine."""
    parents = find_parents()
    bottle = start()
    made = [path for parent in set(parents.folders.values()) for path in parent.glob(f"{bottle.name}-{bottle.launch}")]
    assert len(made) == len(set(parents.folders.values()))
    bottle.stop()
    assert not any(path.exists() for path in made)


def test_the_preflight_says_which_limits_hold() -> None:
    """Memory is limited where this machine offers it, and the line says whether; a bound folder has no size."""
    section = BwrapSection()
    limits = find_limits(section, dropped=True)
    with_memory = limits._replace(parents=Parents({"memory": Path("/")}, unified=True)).line(section, bound=False)
    without = limits._replace(parents=Parents({}, unified=True)).line(section, bound=False)
    assert with_memory == "memory 4g, 1024 processes, /tmp 1g, home 2g, /workspace 4g"
    assert without.startswith("memory not limited (this machine offers us no control group), 1024 processes")
    assert limits.line(section, bound=True).endswith(", home 2g")


@given(st.integers(1, 10**6), st.sampled_from(["m", "g", "M", "G", "t"]))
def test_a_size_is_its_number_of_bytes(number: int, unit: str) -> None:
    """Units are powers of 1024."""
    assert bytes_of(f"{number}{unit}") == number * {"m": 1 << 20, "g": 1 << 30, "t": 1 << 40}[unit.lower()]


@given(st.text(max_size=8))
def test_what_is_no_size_is_refused(text: str) -> None:
    """A size is read whole or refused: no sign, no fraction, no other digits, nothing below 1m."""
    try:
        size = bytes_of(text)
    except ValueError:
        return
    assert text.isascii()
    assert text[0].isdigit()
    assert size >= 1 << 20


@pytest.mark.parametrize("text", ["", "4", "1023k", "-4g", "4 g", "4gb", "1.5g", "\u0664g", "4g\n", "0x4g"])
def test_a_wrong_size_says_what_a_size_is(text: str) -> None:
    """The message has the text and an example."""
    with pytest.raises(ValueError, match="is not a size like 512m or 4g"):
        bytes_of(text)


def test_every_bad_size_is_told() -> None:
    """All problems of a section are found in one pass, by key."""
    section = BwrapSection(memory="-1", tmp="1.5g", home="10", workspace="4gb", processes=0)
    assert [key for key, _ in size_problems(section)] == ["memory", "tmp", "home", "workspace", "processes"]
    assert size_problems(BwrapSection()) == []


def test_own_groups_of_both_versions_are_read() -> None:
    """`/proc/self/cgroup` has one line for each hierarchy; version 2 has no name."""
    text = "9:name=systemd:/\n4:memory:/a/b\n3:cpu,cpuacct:/c\n0::/user.slice/x.scope\n"
    expected = {"name=systemd": "", "memory": "/a/b", "cpu": "/c", "cpuacct": "/c", "": "/user.slice/x.scope"}
    assert own_groups(text) == expected


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[Mapping[str, str], str], Path]:
    """Make a /proc/self and a version 2 tree: `machine({group: controllers}, own)`."""

    def make(groups: Mapping[str, str], own: str) -> Path:
        mount = tmp_path / "sys"
        for group, controllers in groups.items():
            folder = mount / group
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "cgroup.subtree_control").write_text(controllers, encoding="ascii")
            (folder / "cgroup.procs").touch()
        proc = tmp_path / "proc"
        proc.mkdir()
        (proc / "cgroup").write_text(f"0::{own}\n", encoding="ascii")
        (proc / "mountinfo").write_text(f"30 1 0:26 / {mount} rw - cgroup2 cgroup2 rw\n", encoding="ascii")
        return proc

    return make


def test_a_group_is_made_beside_our_own(machine: Callable[[Mapping[str, str], str], Path], tmp_path: Path) -> None:
    """Version 2: a group with processes has no limited children, so the nearest one above us is taken."""
    groups = {"": "memory pids", "user": "memory pids", "user/app": "memory pids", "user/app/shell": ""}
    found = find_parents(machine(groups, "/user/app/shell"))
    assert found == Parents(dict.fromkeys(("memory", "pids"), tmp_path / "sys/user/app"), unified=True)


def test_no_group_without_its_controllers(machine: Callable[[Mapping[str, str], str], Path]) -> None:
    """Version 2: what is not enabled for children cannot limit them, and nothing is then promised."""
    assert find_parents(machine({"": "cpu", "user": ""}, "/user")).folders == {}
