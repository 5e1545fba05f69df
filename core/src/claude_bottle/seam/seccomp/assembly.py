"""The assembler: a rule table becomes a classic BPF program as the kernel reads it.

A program is a sequence of blocks. A block decides, or falls off its end into the next one with the call's
number still in the accumulator, so no jump ever leaves its block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from errno import ENOSYS
from struct import Struct

from claude_bottle.seam.syscalls import AnyBit, Condition, NoneOf, Rule

from .numbers import MACHINES, NEWEST, Machine

# <linux/bpf_common.h>: class | size or operation | operand
LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_GREATER = 0x25  # BPF_JMP | BPF_JGT | BPF_K
JUMP_GREATER_EQUAL = 0x35  # BPF_JMP | BPF_JGE | BPF_K
JUMP_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K

# <linux/seccomp.h>: verdicts, and offsets into struct seccomp_data
ALLOW = 0x7FFF_0000
ERRNO = 0x0005_0000
KILL_PROCESS = 0x8000_0000
OFFSET_NUMBER = 0
OFFSET_ARCH = 4
OFFSET_ARGUMENTS = 16

NO_CALL = 0xFFFF_FFFF

_INSTRUCTION = Struct("<HBBI")  # struct sock_filter: code, jt, jf, k; both machines are little-endian
_ARGUMENT_SIZE = 8


class UnsupportedMachineError(ValueError):
    """There is no system call table for this machine, so no filter can be made."""


def assemble(machine: str, rules: Iterable[Rule]) -> bytes:
    """Return the program for a machine as an array of `struct sock_filter`.

    The first rule that names a call decides it; what no rule names is allowed. Raises UnsupportedMachineError
    for a machine not in MACHINES, and struct.error for a rule of more than 255 calls or 252 values, the reach
    of a jump.
    """
    target = MACHINES.get(machine)
    if target is None:
        known = " and ".join(MACHINES)
        raise UnsupportedMachineError(f"no seccomp filter for machine {machine!r}: there is one for {known}")
    blocks = [_preamble(target), *(_block(target, rule) for rule in rules), _return(ALLOW)]
    return b"".join(blocks)


def _preamble(machine: Machine) -> bytes:
    """Decide what no rule can: the calling convention, and calls that the table does not know.

    Another architecture's call, i386 through `int 0x80` among them, is no fallback of any native program.
    Killing names the cause (SIGSYS), where ENOSYS would leave a 32-bit program unable even to exit.
    """
    program = [
        _load(OFFSET_ARCH),
        _jump(JUMP_EQUAL, machine.audit_arch, 1, 0),
        _return(KILL_PROCESS),
        _load(OFFSET_NUMBER),
        # A tracer skips a call by making its number -1. The kernel then runs nothing, and an errno from here
        # would overwrite the tracer's own.
        _jump(JUMP_EQUAL, NO_CALL, 0, 1),
        _return(ALLOW),
    ]
    if machine.foreign_from is not None:
        program += [_jump(JUMP_GREATER_EQUAL, machine.foreign_from, 0, 1), _return(KILL_PROCESS)]
    # A kernel newer than the table may have calls that a rule would refuse; programs know how to do without.
    program += [_jump(JUMP_GREATER, NEWEST, 0, 1), _return(ERRNO | ENOSYS)]
    return b"".join(program)


def _block(machine: Machine, rule: Rule) -> bytes:
    numbers = [machine.numbers[call] for call in rule.calls if call in machine.numbers]
    refuse = _return(ERRNO | rule.errno)
    body = refuse if rule.when is None else _choice(rule.when, refuse, _return(ALLOW))
    return _enter_if_any(JUMP_EQUAL, numbers, _length(body)) + body if numbers else b""


def _choice(condition: Condition, when_true: bytes, when_false: bytes) -> bytes:
    """Assemble a condition whose two outcomes are one instruction each."""
    low_half = _load(OFFSET_ARGUMENTS + _ARGUMENT_SIZE * condition.argument)
    if isinstance(condition, AnyBit):
        return low_half + _enter_if_any(JUMP_ANY_BIT, [condition.mask], 1) + when_true + when_false
    if isinstance(condition, NoneOf):
        when_true, when_false = when_false, when_true
    return low_half + _enter_if_any(JUMP_EQUAL, condition.values, 1) + when_true + when_false


def _enter_if_any(test: int, operands: Sequence[int], body_length: int) -> bytes:
    """Test the operands in turn: the first that holds enters the body that follows, else it is skipped."""
    last = len(operands) - 1
    return b"".join(
        _jump(test, operand, last - i, body_length if i == last else 0) for i, operand in enumerate(operands)
    )


def _length(program: bytes) -> int:
    return len(program) // _INSTRUCTION.size


def _load(offset: int) -> bytes:
    return _INSTRUCTION.pack(LOAD_WORD, 0, 0, offset)


def _jump(test: int, operand: int, if_true: int, if_false: int) -> bytes:
    return _INSTRUCTION.pack(test, if_true, if_false, operand)


def _return(verdict: int) -> bytes:
    return _INSTRUCTION.pack(RETURN, 0, 0, verdict)
