"""Makes the raw system calls named on standard input and prints what each came to.

Input: a JSON list of [number, [argument, ...]]. Output: a JSON list with, for each, 0 for success, an errno,
or a negative signal number. Each runs in a process of its own. The sandbox's own interpreter runs this.
"""

import ctypes
import json
import os
import sys

UNEXPECTED = 255  # no errno: the probe itself failed

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def outcome(number: int, arguments: list[int]) -> int:
    """Make one call in a child and return how it ended."""
    child = os.fork()
    if child == 0:
        code = UNEXPECTED
        try:
            failed = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) == -1
            code = ctypes.get_errno() if failed else 0
        finally:
            os._exit(code)  # also the way out of a clone() that was let through
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


json.dump([outcome(number, arguments) for number, arguments in json.load(sys.stdin)], sys.stdout)
