"""What the user's own terminal can do to a launch: close, and send Ctrl-C to all that stands in front."""

import os
import time
from contextlib import suppress

import pytest
from e2e_terminal import begin_at_terminal
from e2e_user import User, wait_until


def test_a_terminal_that_closes_takes_everything_down(user: User) -> None:
    """S14: a window that is closed is a hang-up, on whose way back there is nobody to write to."""
    process, ours = begin_at_terminal(user, "start", "reviewer", "--yes", "--file", "bottle.yaml", "--", "sleep", "600")
    assert wait_until(lambda: [row["state"] for row in user.listed()] == ["running"])
    os.close(ours)
    assert process.wait(20) != 0
    assert user.listed() == []
    assert user.bottle("cleanup", "--dry-run").err == "nothing is left over\n"


@pytest.mark.parametrize("delay", [0.05, 0.1, 0.15, 0.2, 0.3])
def test_control_c_at_the_terminal_ends_a_launch_at_any_moment(delay: float, user: User) -> None:
    """S14: the key reaches every process of the terminal's group; it is ours alone to take the launch down."""
    process, ours = begin_at_terminal(user, "start", "reviewer", "--file", "bottle.yaml", "--", "sleep", "600")
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, b"y\r")
    time.sleep(delay)
    os.write(ours, b"\x03")
    with suppress(OSError):  # nobody has the terminal open any more
        while chunk := os.read(ours, 4096):
            shown += chunk
    os.close(ours)
    assert process.wait(20) == 130, shown.decode()
    assert user.listed() == []
