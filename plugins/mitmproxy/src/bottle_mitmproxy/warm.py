"""The proxy's process, begun before there is anything to serve: its imports are most of a launch."""

import socket
import subprocess
import sys

from bottle_mitmproxy.image import PYTHON
from claude_bottle.seam.sidecar import Warm

__all__ = ["ARGV", "ENVIRONMENT", "IN_IMAGE", "spawn"]

MODULE = ("-P", "-m", "bottle_mitmproxy.sidecar")
ARGV = (sys.executable, *MODULE)
IN_IMAGE = (PYTHON, *MODULE)
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
"""Nothing of the host's environment: it holds secrets, and variables that change what Python and TLS do."""


def spawn() -> Warm:
    """Start the process, waiting for its message. It makes no file."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            (*ARGV, "--fd", str(theirs.fileno())),
            stdin=subprocess.PIPE,  # credentials may come there
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # an agent decides how much comes there; what goes wrong it says on stdout
            env=ENVIRONMENT,
            pass_fds=(theirs.fileno(),),
            cwd="/",
            start_new_session=True,  # the Ctrl-C of the terminal is for the agent, not for its way out
        )
    return Warm(process, ours)
