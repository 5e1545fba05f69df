"""The assembler: any table, one meaning."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.seam.seccomp import UnsupportedMachineError, program
from claude_bottle.seam.seccomp.assembly import assemble
from claude_bottle.seam.seccomp.numbers import MACHINES
from claude_bottle.seam.syscalls import RULES, AnyBit, NoneOf, OneOf, Rule

from . import reading
from .interpreter import Call, decode, run

NAMES = sorted(set(MACHINES["x86_64"].numbers) & set(MACHINES["aarch64"].numbers))
HALVES = st.sampled_from([0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]) | st.integers(0, 2**32 - 1)
WORDS = st.tuples(HALVES, HALVES).map(lambda halves: halves[0] << 32 | halves[1])
SIX_WORDS = st.lists(WORDS, min_size=6, max_size=6).map(tuple)
POSITIONS = st.integers(0, 5)
VALUES = st.lists(HALVES, min_size=1, max_size=252).map(tuple)
CONDITIONS = (
    st.builds(OneOf, POSITIONS, VALUES) | st.builds(NoneOf, POSITIONS, VALUES) | st.builds(AnyBit, POSITIONS, HALVES)
)
TABLES = st.lists(
    st.builds(
        Rule,
        st.lists(st.sampled_from(NAMES), max_size=20).map(tuple),
        st.integers(1, 133),
        st.just("any"),
        st.none() | CONDITIONS,
    ),
    max_size=10,
)


@given(machine=st.sampled_from(sorted(MACHINES)), rules=TABLES, name=st.sampled_from(NAMES), words=SIX_WORDS)
def test_program_of_any_table_does_what_the_table_says(
    machine: str, rules: list[Rule], name: str, words: tuple[int, ...]
):
    """Whatever the rules, conditions and 64-bit arguments: the program's verdict is the table's."""
    target = MACHINES[machine]
    call = Call(target.audit_arch, target.numbers[name], words)
    assert reading.verdict(target, rules, call) == run(decode(assemble(machine, rules)), call).verdict


@given(machine=st.sampled_from(sorted(MACHINES)), size=st.integers(245, 252), value=st.integers(0, 300))
def test_longest_jumps_arrive(machine: str, size: int, value: int):
    """A rule with as many values as a jump can span decides like a short one."""
    rules = [Rule(("ioctl",), 1, "long", OneOf(1, tuple(range(size)))), Rule(("bpf",), 2, "next")]
    target = MACHINES[machine]
    filter_ = decode(assemble(machine, rules))
    for name in ("ioctl", "bpf"):
        call = Call(target.audit_arch, target.numbers[name], (0, value, 0, 0, 0, 0))
        assert reading.verdict(target, rules, call) == run(filter_, call).verdict


def test_rule_too_long_for_a_jump_is_an_error():
    """A jump that cannot arrive fails the assembly; it is never cut off."""
    with pytest.raises(struct.error):
        assemble("x86_64", [Rule(("ioctl",), 1, "too long", OneOf(1, tuple(range(253))))])


@pytest.mark.parametrize("machine", ["riscv64", "i686", "armv7l", "aarch64_be", "X86_64", ""])
def test_unknown_machine_has_no_filter(machine: str):
    """K2: a machine without a table is an error that names the machines with one, never an empty filter."""
    with pytest.raises(UnsupportedMachineError, match="x86_64 and aarch64"):
        program(machine)


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_program_is_the_assembled_table(machine: str):
    """What a launch loads is the whole table, in a form that the kernel's checks accept."""
    assert program(machine) == assemble(machine, RULES)
    assert decode(program(machine))
