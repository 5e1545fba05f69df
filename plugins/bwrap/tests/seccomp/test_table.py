"""The rule table and its numbers against a list of what a bottle must be refused, by the number.

Numbers come from libseccomp wherever it knows the call, so neither the table nor our numbers are trusted.
"""

from __future__ import annotations

import errno
from collections import Counter

import pytest

from claude_bottle.seam.seccomp import program
from claude_bottle.seam.seccomp.numbers import MACHINES, NEWEST
from claude_bottle.seam.syscalls import RULES

from .interpreter import Call, decode, run
from .libseccomp import ARCHITECTURES, resolve
from .refusals import CONDITIONAL, refused

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
HIGH = 0xDEADBEEF << 32

CALLS = [(machine, name, code) for machine in MACHINES for name, code in refused(machine)]


@pytest.mark.parametrize(("machine", "name", "code"), CALLS)
def test_call_is_refused_whatever_its_arguments(machine: str, name: str, code: int):
    """K2: the call fails with this errno, and the filter does not even look at its arguments."""
    call = Call(ARCHITECTURES[machine], resolve(machine, name))
    assert run(decode(program(machine)), call) == (0x00050000 | code, False)


@pytest.mark.parametrize("machine", sorted(MACHINES))
@pytest.mark.parametrize("high", [0, HIGH])
@pytest.mark.parametrize(("name", "position", "value", "code"), CONDITIONAL)
def test_call_is_refused_by_the_low_half_of_its_argument(
    machine: str, high: int, name: str, position: int, value: int, code: int
):
    """K2: the half that the kernel reads decides; garbage above it neither opens nor closes."""
    arguments = [HIGH] * 6
    arguments[position] = high | value
    call = Call(ARCHITECTURES[machine], resolve(machine, name), tuple(arguments))
    expected = 0x00050000 | code if code else ALLOW
    assert expected == run(decode(program(machine)), call).verdict


@pytest.mark.parametrize("machine", sorted(MACHINES))
@pytest.mark.parametrize("name", ["read", "execve", "ptrace", "seccomp", "prctl", "mmap", "futex", "openat", "kill"])
def test_everyday_calls_are_allowed(machine: str, name: str):
    """What programs and debuggers live on stays."""
    call = Call(ARCHITECTURES[machine], resolve(machine, name))
    assert run(decode(program(machine)), call) == (ALLOW, False)


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_foreign_architecture_kills(machine: str):
    """K2: i386 through int 0x80, 32-bit ARM, or anything else: no number gets through."""
    filter_ = decode(program(machine))
    foreign = {0, 0x40000003, 0x40000028, 0x4000003E, 0xFFFFFFFF, *ARCHITECTURES.values()}
    numbers = (*range(600), 0x40000000, 0xFFFFFFFF)
    calls = [Call(arch, number) for arch in foreign - {ARCHITECTURES[machine]} for number in numbers]
    assert {run(filter_, call) for call in calls} == {(KILL_PROCESS, False)}


def test_x32_kills():
    """K2: no x32 call gets through, nor an x32 number without its bit; -1, a skipped call, is left alone."""
    filter_ = decode(program("x86_64"))
    arch = ARCHITECTURES["x86_64"]
    x32 = (*range(0x40000000, 0x40000000 + 1025), 0x7FFFFFFF, 0x80000000, 0xC0000000, 0xFFFFFFFE)
    assert {run(filter_, Call(arch, number)) for number in x32} == {(KILL_PROCESS, False)}
    legacy = {run(filter_, Call(arch, number)) for number in range(512, 548)}
    assert legacy == {(0x00050000 | errno.ENOSYS, False)}
    assert run(filter_, Call(arch, 0xFFFFFFFF)).verdict == ALLOW


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_calls_newer_than_the_table_do_not_exist(machine: str):
    """K2: a call that Linux adds later is ENOSYS until someone has read what it does."""
    filter_ = decode(program(machine))
    arch = ARCHITECTURES[machine]
    newer = {run(filter_, Call(arch, number)) for number in (470, 471, 472, 1024, 0x3FFFFFFF)}
    assert newer == {(0x00050000 | errno.ENOSYS, False)}
    assert [run(filter_, Call(arch, number)).verdict for number in (468, 469)] == [ALLOW, ALLOW]


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_numbers_are_the_kernels(machine: str):
    """Each number is libseccomp's, and a call without one does not exist on the machine."""
    numbers = MACHINES[machine].numbers
    ours = {call: numbers.get(call) for rule in RULES for call in rule.calls}
    theirs = {call: resolve(machine, call) for call in ours}
    assert {call: number if number >= 0 else None for call, number in theirs.items()} == ours
    assert set(numbers) <= set(ours)
    assert max(numbers.values()) <= NEWEST


def test_each_call_has_one_rule():
    """The first rule that names a call decides, so a second one would be dead."""
    calls = Counter(call for rule in RULES for call in rule.calls)
    assert [call for call, count in calls.items() if count > 1] == []
