"""The filter under the running kernel: refusals to the errno, x32 and i386 killed."""

from __future__ import annotations

import errno
import json
import platform
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from claude_bottle.seam.seccomp import program
from claude_bottle.seam.seccomp.numbers import MACHINES

from .refusals import CONDITIONAL, refused
from .sandbox import Sandbox, tool

MACHINE = platform.machine()
PROBE = Path(__file__).with_name("probe.py").read_text()
GARBAGE = [-1] * 6  # no pointer, no descriptor, no known flag: a call let through fails otherwise
HIGH = 1 << 32
STDIN, TCGETS, TIOCSTI = 0, 0x5401, 0x5412
AF_INET, SOCK_STREAM, SIGCHLD = 2, 1, 17
CLONE_NEWUSER, READ_IMPLIES_EXEC = 0x10000000, 0x400000

Probe = tuple[str, list[int]]

pytestmark = pytest.mark.skipif(
    MACHINE not in MACHINES, reason=f"no filter for {MACHINE}: run on {' or '.join(MACHINES)}"
)


def outcomes(sandbox: Sandbox, filter_: bytes | None, probes: Sequence[Probe]) -> list[int]:
    """Return 0, errno or negative signal of each call, as made by a process in the sandbox."""
    calls = [(MACHINES[MACHINE].numbers[name], arguments) for name, arguments in probes]
    return raw_outcomes(sandbox, filter_, calls)


def raw_outcomes(sandbox: Sandbox, filter_: bytes | None, calls: Sequence[tuple[int, list[int]]]) -> list[int]:
    """Return the outcome of each call, given by number."""
    done = sandbox.run([tool("python3"), "-I", "-c", PROBE], filter_, json.dumps(calls))
    assert done.stderr == ""
    return json.loads(done.stdout)


def with_argument(position: int, value: int) -> list[int]:
    """Return six arguments of which one is given."""
    return [value if i == position else 0 for i in range(6)]


def test_each_refused_call_fails_with_its_errno(sandbox: Sandbox):
    """K2: keyrings, bpf, mounts, namespaces, io_uring and all others, from a process in the sandbox."""
    expected = dict(refused(MACHINE))
    seen = outcomes(sandbox, program(MACHINE), [(name, GARBAGE) for name in expected])
    assert expected == dict(zip(expected, seen, strict=True))


@pytest.mark.parametrize("high", [0, HIGH])
def test_each_refused_argument_fails_with_its_errno(sandbox: Sandbox, high: int):
    """K2: AF_VSOCK, user namespaces by clone, TIOCSTI: garbage above the argument is no way in."""
    cases = [case for case in CONDITIONAL if case[3]]
    probes = [(name, with_argument(position, high | value)) for name, position, value, _ in cases]
    assert [case[3] for case in cases] == outcomes(sandbox, program(MACHINE), probes)


def test_upper_half_of_a_register_refuses_nothing(sandbox: Sandbox):
    """A compiler may leave garbage above an int: an allowed call with it works like one without."""
    probes = [
        ("socket", [AF_INET | HIGH, SOCK_STREAM, 0]),
        ("personality", [HIGH]),
        ("ioctl", [STDIN, TCGETS | HIGH, 0]),
    ]
    assert outcomes(sandbox, program(MACHINE), probes) == [0, 0, errno.ENOTTY]


def test_refusals_are_the_filters_own(sandbox: Sandbox):
    """The same calls without a filter answer otherwise, so the tests above would notice its absence."""
    probes = [
        *((name, GARBAGE) for name in ("keyctl", "unshare", "setns", "clone3", "io_uring_setup", "mount")),
        ("clone", [CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0]),
        ("clone", [CLONE_NEWUSER | SIGCHLD | HIGH, 0, 0, 0, 0]),
        ("ioctl", [STDIN, TIOCSTI, 0]),
        ("personality", [READ_IMPLIES_EXEC]),
    ]
    bare = outcomes(sandbox, None, probes)
    filtered = outcomes(sandbox, program(MACHINE), probes)
    assert [probe for probe, one, other in zip(probes, bare, filtered, strict=True) if one == other] == []


def test_skipped_and_unknown_calls_do_not_exist(sandbox: Sandbox):
    """-1, a number without a call, and one newer than the table: ENOSYS, and the process lives."""
    seen = raw_outcomes(sandbox, program(MACHINE), [(-1, []), (1024, []), (470, GARBAGE)])
    assert seen == [errno.ENOSYS] * 3


@pytest.mark.skipif(MACHINE != "x86_64", reason="x32 is a calling convention of x86_64: run there")
def test_x32_call_is_killed(sandbox: Sandbox):
    """K2: getpid with the x32 bit ends in SIGSYS."""
    assert raw_outcomes(sandbox, program(MACHINE), [(0x40000000 | 39, [])]) == [-signal.SIGSYS]


INT_0X80 = r"""
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(b"\xb8\x14\0\0\0\xcd\x80\xc3")  # mov eax, 20 (getpid on i386); int 0x80; ret
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())
"""


@pytest.mark.skipif(MACHINE != "x86_64", reason="int 0x80 is an instruction of x86: run there")
def test_i386_call_from_a_native_process_is_killed(sandbox: Sandbox):
    """K2: int 0x80 ends in SIGSYS, or in SIGSEGV where the kernel has no 32-bit entry at all."""
    done = sandbox.run([tool("python3"), "-I", "-c", INT_0X80], program(MACHINE))
    assert done.stdout == ""
    assert done.returncode - 128 in (signal.SIGSYS, signal.SIGSEGV)
