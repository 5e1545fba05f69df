"""The seccomp filter of a bottle: the rule table of every bottle, assembled for the machine at hand."""

from __future__ import annotations

from claude_bottle.seam.syscalls import RULES

from .assembly import UnsupportedMachineError, assemble

__all__ = ["UnsupportedMachineError", "program"]


def program(machine: str) -> bytes:
    """Return the filter for a machine, "x86_64" or "aarch64", as an array of `struct sock_filter`.

    That is what `prctl(PR_SET_SECCOMP)` takes, and what a program like bubblewrap reads from a file. The names
    are those of `platform.machine()`. Raises UnsupportedMachineError for any other: a bottle without a filter is
    not started.
    """
    return assemble(machine, RULES)
