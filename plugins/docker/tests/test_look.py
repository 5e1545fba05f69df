"""The look around, in a network namespace of its own where one address is silent, and `localhost` answers."""

import os
import shlex
import subprocess
import time
from typing import NamedTuple

import pytest

from bottle_docker.look import Control, look_argv, look_input
from claude_bottle.seam.bottle import Dial

SILENT = "10.9.0.2"
WITHIN = """
ip link set lo up
ip link add one type veth peer name two
ip addr add 10.9.0.1/24 dev one
ip link set one up
ip link set two up
perl -e "$1" &
door=$!
shift
"$@"
awk '$1 == "Tcp:" { line = $15 } END { print line }' /proc/net/snmp
kill $door
"""
"""What a namespace has: a network on which nobody else is. The last line is how many dials its kernel refused."""
LATE = """
use IO::Socket::INET;
my $door = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1", LocalPort => 3128, ReuseAddr => 1) or die "$!";
while (my $peer = $door->accept) { select(undef, undef, undef, 0.6); print $peer "late"; close $peer }
"""
"""Connects at once, and answers after 0.6 seconds."""
UNSHARE = ("unshare", "--net") if os.getuid() == 0 else ("unshare", "--net", "--user", "--map-root-user")


class Seen(NamedTuple):
    """What was said, how many dials were refused, and the seconds that all took."""

    lines: list[str]
    refused: int
    took: float


def look(dials: list[Dial], names: list[str], control: Control | None) -> Seen:
    """Look around."""
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs a network namespace: kernel.unprivileged_userns_clone, or root")
    lines = shlex.join(look_input(dials, names, control).decode().splitlines())
    asked = ("sh", "-c", f"sleep 0.2; printf '%s\\n' {lines} | {shlex.join(look_argv())}")
    begin = time.monotonic()
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", WITHIN, "sh", LATE, *asked], capture_output=True, check=True, timeout=20
    )
    *said, refused = done.stdout.decode().splitlines()
    return Seen(said, int(refused), time.monotonic() - begin)


def test_a_silence_is_given_up_once_a_hundred_answers_have_come() -> None:
    """N2: neither before the seconds are over, nor before the control has answered so often."""
    seen = look([Dial(SILENT, 80)], ["some.name.test"], Control("127.0.0.1", 0.4))
    assert seen.lines == ["none", "0"]
    assert seen.refused >= 100
    assert seen.took >= 0.6


@pytest.mark.parametrize("control", [None, Control("10.9.0.3", 0.0)], ids=["no control", "silent control"])
def test_without_an_answering_control_a_silence_takes_a_second(control: Control | None) -> None:
    """N2: what cannot be told from a network on which nobody is gets all the time there is."""
    seen = look([Dial(SILENT, 80)], [], control)
    assert seen.lines == ["none"]
    assert seen.took >= 1.2


def test_a_connection_that_came_about_is_not_hurried() -> None:
    """N1: whoever answers late is heard, though all silences are given up long before."""
    seen = look([Dial("127.0.0.1", 3128), Dial(SILENT, 80)], [], Control("127.0.0.1", 0.0))
    assert seen.lines == [f"x{b'late'.hex()}", "none"]
