"""A command at a terminal of its own."""

import os
import pty
import subprocess
import sys

from e2e_user import BINARIES, User

__all__ = ["begin_at_terminal"]

OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes stdin the terminal of a new session, and becomes the command."""


def begin_at_terminal(user: User, *words: str) -> tuple[subprocess.Popen[bytes], int]:
    """Run a command at a terminal of its own, and return it with our end of that."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL, BINARIES / "bottle", *words],
        cwd=user.work,
        env={**user.environment, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours
