"""Our program against libseccomp's own for the same table: one verdict for every call on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.seam.seccomp import program
from claude_bottle.seam.seccomp.numbers import MACHINES, NEWEST, Machine
from claude_bottle.seam.syscalls import RULES, AnyBit, Rule

from . import reading
from .interpreter import Call, Program, decode, run
from .libseccomp import LAST, libseccomp_program

I386, ARM, X32_ALONE, PPC64LE = 0x40000003, 0x40000028, 0x4000003E, 0xC0000015
ARCHES = (0xC000003E, 0xC00000B7, I386, ARM, X32_ALONE, PPC64LE, 0, 0xFFFFFFFF)
X32_BIT = 0x40000000
EDGE_NUMBERS = (X32_BIT - 1, X32_BIT, X32_BIT + LAST, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
HIGH_HALVES = (0, 1, 0x80000000, 0xFFFFFFFF)
ALL_ONES = 2**64 - 1


class Opinions(NamedTuple):
    """Both programs for one machine, decoded, and the call numbers that libseccomp's knows nothing of."""

    machine: Machine
    ours: Program
    theirs: Program
    untold: set[int]

    def disagree(self, call: Call) -> bool:
        """Say whether ours differs from the table or, where it has an opinion, from libseccomp's."""
        verdict = run(self.ours, call).verdict
        silent = call.arch == self.machine.audit_arch and (call.number in self.untold or call.number > LAST)
        silent = silent and call.number < (self.machine.foreign_from or 2**32 - 1)
        return verdict != reading.verdict(self.machine, RULES, call) or (
            not silent and verdict != run(self.theirs, call).verdict
        )


def opinions_on(machine: str) -> Opinions:
    """Build both programs."""
    raw, untold = libseccomp_program(machine)
    return Opinions(MACHINES[machine], decode(program(machine)), decode(raw), untold)


OPINIONS = {machine: opinions_on(machine) for machine in MACHINES}
MACHINE_NAMES = sorted(OPINIONS)


@pytest.mark.parametrize("machine", MACHINE_NAMES)
@pytest.mark.parametrize("arch", ARCHES)
def test_verdict_is_libseccomps_for_every_call(machine: str, arch: int):
    """Every number, on every architecture, with arguments of zeros and of ones."""
    opinions = OPINIONS[machine]
    numbers = (*range(LAST + 1), *EDGE_NUMBERS)
    calls = [Call(arch, number, words) for number in numbers for words in ((0,) * 6, (ALL_ONES,) * 6)]
    assert [call for call in calls if opinions.disagree(call)] == []


@pytest.mark.parametrize("machine", MACHINE_NAMES)
def test_only_calls_with_conditions_depend_on_arguments(machine: str):
    """For all other calls the one verdict holds for every argument: neither program reads any."""
    opinions = OPINIONS[machine]
    readers = {
        number
        for number in range(LAST + 1)
        for filter_ in (opinions.ours, opinions.theirs)
        if run(filter_, Call(opinions.machine.audit_arch, number)).read_arguments
    }
    assert readers == {opinions.machine.numbers[name] for name, _ in conditional_calls()}


@pytest.mark.parametrize("machine", MACHINE_NAMES)
def test_verdict_is_libseccomps_for_every_argument_class(machine: str):
    """Each boundary, single bit and pair of bits of the low half, under each kind of high half."""
    opinions = OPINIONS[machine]
    wrong = [
        call
        for name, rule in conditional_calls()
        for low in low_halves(rule)
        for high in HIGH_HALVES
        for call in [argument_call(opinions.machine, name, rule, high << 32 | low)]
        if opinions.disagree(call)
    ]
    assert wrong == []


@given(
    machine=st.sampled_from(MACHINE_NAMES),
    number=st.integers(0, LAST) | st.integers(0, 2**32 - 1),
    words=st.lists(st.integers(0, ALL_ONES), min_size=6, max_size=6).map(tuple),
)
def test_verdict_is_libseccomps_for_any_call(machine: str, number: int, words: tuple[int, ...]):
    """Any number with any six words, none of them chosen by us."""
    opinions = OPINIONS[machine]
    assert not opinions.disagree(Call(opinions.machine.audit_arch, number, words))


def test_libseccomp_is_told_nearly_everything():
    """The silence of the second opinion is bounded: calls it has no name for, on one machine at most."""
    unnamed = set(range(NEWEST - 18, LAST + 1))
    silent = [opinions.untold for opinions in OPINIONS.values() if opinions.untold]
    assert len(silent) <= 1
    assert all(untold <= unnamed for untold in silent)


def conditional_calls() -> list[tuple[str, Rule]]:
    """Return each call whose rule has a condition."""
    return [(name, rule) for rule in RULES if rule.when is not None for name in rule.calls]


def low_halves(rule: Rule) -> Iterator[int]:
    """Yield the 32-bit values at which a condition could tell two arguments apart."""
    bits = [1 << bit for bit in range(32)]
    yield from range(64)
    yield from bits
    yield from (2**32 - 1 - bit for bit in bits)
    yield from (one | other for one, other in combinations(bits, 2))
    constants = (rule.when.mask,) if isinstance(rule.when, AnyBit) else rule.when.values if rule.when else ()
    for constant in constants:
        yield from ((constant + step) % 2**32 for step in range(-2, 3))
        yield from (constant ^ bit for bit in bits)
        yield constant ^ (2**32 - 1)


def argument_call(machine: Machine, name: str, rule: Rule, value: int) -> Call:
    """Return a call with the value where the condition looks, and ones everywhere else."""
    position = rule.when.argument if rule.when else 0
    arguments = tuple(value if i == position else ALL_ONES for i in range(6))
    return Call(machine.audit_arch, machine.numbers[name], arguments)
