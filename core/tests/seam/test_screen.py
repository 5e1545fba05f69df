"""A terminal is given back with what a program switched on it, in whatever pieces that came, switched back."""

import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.seam.terminal import Screen

FULL = b"\x1b[?1049h\x1b[?25l\x1b[?1000;1006h\x1b[>1u\x1b[>4;2mtext\x1b[31mred"
BACK = b"\x1b[0m\x1b[<1u\x1b[>4m\x1b[?1006l\x1b[?1000l\x1b[?25h\x1b[?1049l"


def tidied(*pieces: bytes) -> bytes:
    """Return what is written to give a screen back after it was shown these."""
    reader, writer = os.pipe()
    screen = Screen(writer)
    for piece in pieces:
        screen(piece)
    assert os.read(reader, 1 << 16) == b"".join(pieces)
    screen.tidy()
    os.close(writer)
    with os.fdopen(reader, "rb") as rest:
        return rest.read()


def test_what_was_switched_is_switched_back_the_last_first() -> None:
    """The second screen goes last, for the keyboard's mode belongs to it."""
    assert tidied(FULL) == BACK


@pytest.mark.parametrize("ended", [b"plain\r\n", FULL + b"\x1b[<u\x1b[>4m\x1b[?1006l\x1b[?1000l\x1b[?25h\x1b[?1049l"])
def test_a_program_that_ended_well_is_left_alone(ended: bytes) -> None:
    """Nothing is written after it: a second restoring would move the cursor."""
    assert tidied(ended) == b""


@given(st.lists(st.integers(1, len(FULL) - 1), max_size=6))
def test_it_does_not_matter_how_the_bytes_are_cut(cuts: list[int]) -> None:
    """A sequence over the ends of what is read at once is one sequence."""
    ends = [0, *sorted(set(cuts)), len(FULL)]
    assert tidied(*(FULL[a:b] for a, b in pairwise(ends))) == BACK
