"""The interpreter that the other tests trust."""

from __future__ import annotations

from struct import pack

import pytest

from .interpreter import (
    AND,
    JUMP,
    JUMP_ANY_BIT,
    JUMP_EQUAL,
    JUMP_GREATER,
    JUMP_GREATER_EQUAL,
    LOAD_WORD,
    RETURN,
    Call,
    Outcome,
    decode,
    run,
)


def assembled(*instructions: tuple[int, int, int, int]) -> bytes:
    """Return instructions as the kernel reads them."""
    return b"".join(pack("<HBBI", *instruction) for instruction in instructions)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0" * 7,
        assembled((LOAD_WORD, 0, 0, 0)),
        assembled((LOAD_WORD, 0, 0, 64), (RETURN, 0, 0, 0)),
        assembled((LOAD_WORD, 0, 0, 2), (RETURN, 0, 0, 0)),
        assembled((JUMP_EQUAL, 0, 1, 0), (RETURN, 0, 0, 0)),
        assembled((JUMP, 0, 0, 1), (RETURN, 0, 0, 0)),
        assembled((0x28, 0, 0, 0), (RETURN, 0, 0, 0)),
        assembled(*[(RETURN, 0, 0, 0)] * 4097),
    ],
    ids=[
        "empty",
        "torn",
        "no return",
        "beyond the data",
        "unaligned",
        "jump",
        "long jump",
        "half word",
        "too long",
    ],
)
def test_program_that_the_kernel_would_refuse_is_an_error(raw: bytes):
    """A program that cannot be loaded has no verdict here either."""
    with pytest.raises(ValueError, match="instruction"):
        decode(raw)


@pytest.mark.parametrize(
    ("code", "operand", "holds"),
    [
        (JUMP_EQUAL, 12, True),
        (JUMP_EQUAL, 8, False),
        (JUMP_GREATER, 11, True),
        (JUMP_GREATER, 12, False),
        (JUMP_GREATER_EQUAL, 12, True),
        (JUMP_GREATER_EQUAL, 13, False),
        (JUMP_ANY_BIT, 9, True),
        (JUMP_ANY_BIT, 3, False),
    ],
)
def test_conditional_jump_compares_the_accumulator(code: int, operand: int, holds: bool):
    """The accumulator stands on the left, unsigned."""
    raw = assembled((LOAD_WORD, 0, 0, 0), (code, 0, 1, operand), (RETURN, 0, 0, 1), (RETURN, 0, 0, 2))
    assert run(decode(raw), Call(0, 12)) == Outcome(1 if holds else 2, read_arguments=False)


@pytest.mark.parametrize(("offset", "expected"), [(4, 0xAA), (16, 0xCC), (20, 0xBB), (56, 0xEE), (60, 0xDD)])
def test_load_reads_a_little_endian_half(offset: int, expected: int):
    """An argument's low half comes first; the run says that it looked."""
    load = assembled((LOAD_WORD, 0, 0, offset), (AND, 0, 0, 0xFF), (JUMP_EQUAL, 0, 1, expected))
    raw = load + assembled((RETURN, 0, 0, 1), (RETURN, 0, 0, 2))
    call = Call(0xAA, 0, (0x1BB_0000_01CC, 0, 0, 0, 0, 0x1DD_0000_01EE))
    assert run(decode(raw), call) == Outcome(1, read_arguments=offset >= 16)
