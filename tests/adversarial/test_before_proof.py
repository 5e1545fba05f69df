"""No proof, no agent: nobody gets a command in before a launch has proved its isolation, from no terminal."""

import subprocess
import sys

from e2e_user import User

PAUSED = """
import sys, time
from claude_bottle.cli.main import main
from claude_bottle.launch import launch

def paused(*_):
    print("before the proof", flush=True)
    sys.stdin.read()

launch.Proof.judge = paused
main()
"""
"""`bottle`, which waits where the proof would be judged until its stdin ends."""


def test_no_command_runs_before_the_proof(user: User) -> None:
    """N2, N15: exec, attach and allow are refused while a launch is on its way up; stop ends it."""
    words = [sys.executable, "-c", PAUSED, "start", "reviewer", "--file", "bottle.yaml", "--yes", "--", "true"]
    with subprocess.Popen(
        words,
        env=user.environment,
        cwd=user.work,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"before the proof\n"
        for command in (["exec", "reviewer", "--", "id"], ["attach", "reviewer"], ["allow", "reviewer", "x.test"]):
            done = user.bottle(*command)
            assert done.code != 0
            assert "uid=" not in done.out
            assert "is not up yet" in done.err
        assert user.bottle("stop", "reviewer").code == 0
        process.communicate(timeout=20)
    assert user.listed() == []
