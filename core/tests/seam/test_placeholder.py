"""What stands in a bottle for a credential: of the same shape, new each time, and nothing of the secret."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.errors import BottleError
from claude_bottle.seam.part import ENOUGH
from claude_bottle.seam.placeholder import make_placeholder
from claude_bottle.seam.secrets import check_credential

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=20, max_size=80)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (
            "sk-ant-oat01-Ab3dE6gH9kLmNoPq",
            r"sk-ant-oat01-[A-Z][a-z]\d[a-z][A-Z]\d[a-z][A-Z]\d[a-z][A-Z][a-z][A-Z][a-z][A-Z][a-z]",
        ),
        ("ghp_" + "aB3" * 12, r"ghp_(?:[a-z][A-Z]\d){12}"),
        ("github_pat_11ABCDEFG0abcdefghijkl", r"github_pat_\d\d[A-Z]{7}\d[a-z]{12}"),
        ("xoxb-123456789012-xyzdefabcdef", r"xoxb-\d{12}-[a-z]{12}"),
        ("550e8400-e29b-41d4-a716-446655440000", r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        ("correct-horse-battery-staple", r"[a-z]{7}-[a-z]{5}-[a-z]{7}-[a-z]{6}"),
    ],
)
def test_it_has_the_shape_of_the_credential(value: str, shape: str) -> None:
    """Clients look at prefix, length and alphabet; it is accepted where the credential would be."""
    made = make_placeholder(value)
    assert re.fullmatch(shape, made)
    assert made != value


def test_no_word_of_a_passphrase_is_taken_for_an_issuer() -> None:
    """A prefix is kept only as short as issuers' are, so that no part of a secret is given away."""
    made = [make_placeholder("correct-horse-battery-staple") for _ in range(20)]
    assert not any(it.startswith("correct-") or it.endswith("-staple") for it in made)


@given(PRINTABLE)
def test_it_is_as_long_and_new_each_time(value: str) -> None:
    """Whatever the value, its length and its punctuation stay, and two launches share nothing but these."""
    if sum(it.isalnum() for it in value) < ENOUGH:
        with pytest.raises(ValueError, match="too short"):
            make_placeholder(value)
        return
    one, two = make_placeholder(value), make_placeholder(value)
    assert len(one) == len(value)
    assert [it for it in one if not it.isalnum()] == [it for it in value if not it.isalnum()]
    assert len({one, two, value}) == 3


def test_what_a_launch_accepts_is_what_has_a_placeholder() -> None:
    """The check after the question has the same limit as the proxy, which makes the placeholder."""
    enough = "aB3" * ENOUGH
    check_credential("TOKEN", enough[:ENOUGH])
    assert make_placeholder(enough[:ENOUGH])
    with pytest.raises(BottleError, match="too few"):
        check_credential("TOKEN", enough[: ENOUGH - 1])
    with pytest.raises(ValueError, match="too short"):
        make_placeholder(enough[: ENOUGH - 1])
