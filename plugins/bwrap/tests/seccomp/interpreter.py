"""A classic BPF interpreter for seccomp filters: it checks a program as the kernel does, and runs it."""

from __future__ import annotations

import struct
from typing import NamedTuple

LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
JUMP = 0x05  # BPF_JMP | BPF_JA
JUMP_EQUAL = 0x15
JUMP_GREATER = 0x25
JUMP_GREATER_EQUAL = 0x35
JUMP_ANY_BIT = 0x45
RETURN = 0x06

CONDITIONAL_JUMPS = (JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_EQUAL, JUMP_ANY_BIT)
CODES = (LOAD_WORD, AND, JUMP, RETURN, *CONDITIONAL_JUMPS)
MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS
DATA_SIZE = 64  # sizeof(struct seccomp_data)
FIRST_ARGUMENT = 16
INSTRUCTION = struct.Struct("<HBBI")

Instruction = tuple[int, int, int, int]  # code, jt, jf, k
Program = list[Instruction]


class Call(NamedTuple):
    """One system call as a filter sees it: `struct seccomp_data`, all values unsigned."""

    arch: int
    number: int
    arguments: tuple[int, ...] = (0,) * 6


class Outcome(NamedTuple):
    """What a run returned, and whether it looked at an argument on its way.

    A run that looked at none returns the same for every argument.
    """

    verdict: int
    read_arguments: bool


def decode(raw: bytes) -> Program:
    """Return the instructions of a program that the kernel would accept; raises ValueError for any other."""
    count, torn = divmod(len(raw), INSTRUCTION.size)
    if torn or not 0 < count <= MAX_INSTRUCTIONS:
        raise ValueError(f"{count} instructions and {torn} bytes")
    program = list(INSTRUCTION.iter_unpack(raw))
    for position, (code, if_true, if_false, operand) in enumerate(program):
        reach = max(if_true, if_false) if code in CONDITIONAL_JUMPS else operand if code == JUMP else 0
        if code not in CODES or position + 1 + reach >= len(program) + (code == RETURN):
            raise ValueError(f"instruction {position}: {code:#x} {if_true} {if_false} {operand:#x}")
        if code == LOAD_WORD and (operand % 4 or operand >= DATA_SIZE):
            raise ValueError(f"instruction {position} loads from {operand}")
    return program


def run(program: Program, call: Call) -> Outcome:
    """Run a decoded program on one call."""
    data = struct.unpack("<16I", struct.pack("<IIQ6Q", call.number, call.arch, 0, *call.arguments))
    position = accumulator = 0
    read_arguments = False
    while True:
        code, if_true, if_false, operand = program[position]
        position += 1
        if code == RETURN:
            return Outcome(operand, read_arguments)
        if code == LOAD_WORD:
            accumulator = data[operand // 4]
            read_arguments = read_arguments or operand >= FIRST_ARGUMENT
        elif code == AND:
            accumulator &= operand
        elif code == JUMP:
            position += operand
        else:
            position += if_true if _holds(code, accumulator, operand) else if_false


def _holds(code: int, accumulator: int, operand: int) -> bool:
    if code == JUMP_EQUAL:
        return accumulator == operand
    if code == JUMP_GREATER:
        return accumulator > operand
    if code == JUMP_GREATER_EQUAL:
        return accumulator >= operand
    return bool(accumulator & operand)
