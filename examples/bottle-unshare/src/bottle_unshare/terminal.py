"""A command on our terminal: one of the bottle's own, whose other end is here."""

import fcntl
import os
import struct
import subprocess
import termios
from collections.abc import Callable
from contextlib import suppress

from claude_bottle.seam.terminal import STDERR, STDIN, STDOUT, Write, raw, resizing

from bottle_unshare.command import Copies, Sent

__all__ = ["attach_pipes", "attach_terminal"]

UNLOCK, OPEN_PEER = 0x40045431, 0x5441  # TIOCSPTLCK, TIOCGPTPEER

Start = Callable[..., Sent]


def attach_terminal(pid: int, start: Start) -> int:
    """Start a command on a new terminal of the namespace of `pid`, and be its screen and keyboard."""
    flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
    master = os.open(f"/proc/{pid}/root/dev/pts/ptmx", flags)
    try:
        fcntl.ioctl(master, UNLOCK, struct.pack("i", 0))
        slave = fcntl.ioctl(master, OPEN_PEER, flags)
        try:
            size = os.get_terminal_size(STDIN)
            resize(master, size.lines, size.columns)
            process = start(stdin=slave, stdout=slave, stderr=slave)
        finally:
            os.close(slave)
        return relay(process, master)
    finally:
        os.close(master)


def relay(process: Sent, master: int) -> int:
    """Hand on keys and what is shown, until the command ends; return its exit code."""
    copies = Copies(process)
    try:
        with raw(STDIN, process.release), resizing(lambda lines, columns: resize(master, lines, columns)):
            copies.into(STDIN, Write(master), lambda: None)
            copies.out(master, Write(STDOUT))
            code = process.wait()
            copies.finish()
    finally:
        process.end()
    return code


def resize(master: int, lines: int, columns: int) -> None:
    """Tell a terminal its size; whoever reads it hears SIGWINCH."""
    with suppress(OSError):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def attach_pipes(start: Start) -> int:
    """Start a command on three pipes, and hand on our own streams byte for byte; return its exit code."""
    process = start(stdin=subprocess.PIPE)
    copies = Copies(process)
    try:
        for pipe, ours in ((process.stdout, STDOUT), (process.stderr, STDERR)):
            if pipe is not None:
                copies.out(pipe.fileno(), Write(ours))
        if process.stdin is not None:
            copies.into(STDIN, Write(process.stdin.fileno()), process.stdin.close)
        code = process.wait()
        copies.finish()
    finally:
        process.end()
    return code
