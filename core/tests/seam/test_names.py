"""Slugs and candidates: the names of everything that a launch makes."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.manifest.names import agent_name
from claude_bottle.seam.names import LAST_CANDIDATE, candidates, slugify, taken_message

AGENTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}", fullmatch=True)


@given(AGENTS)
def test_a_slug_is_a_dns_label(name: str) -> None:
    """S21: any agent's name gives a slug of a-z, 0-9 and single inner hyphens that fits into a DNS label."""
    slug = slugify(agent_name(name))
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
    assert len(f"claude-bottle-internal-{slug}") <= 63


@given(st.text())
def test_a_slug_of_a_slug_is_itself(text: str) -> None:
    """S21: slugs are stable, whatever they were made of."""
    assert slugify(slugify(text)) == slugify(text)


def test_a_slug_is_the_name_lowercased_and_hyphenated() -> None:
    """S21: case and every run of other characters are levelled."""
    assert slugify("My  Code.Reviewer_2") == "my-code-reviewer-2"


@given(AGENTS.map(slugify))
def test_candidates_are_ninety_nine_different_names(base: str) -> None:
    """S11: the base, then -2 to -99, each once, all beginning with the base."""
    names = list(candidates(base))
    assert names == [base, *(f"{base}-{number}" for number in range(2, 100))]
    assert len(set(names)) == len(names) == LAST_CANDIDATE
    assert all(a != b for a, b in pairwise(names))


def test_the_message_names_the_cap_that_the_generator_has() -> None:
    """S11: one constant makes both the last candidate and the sentence about it."""
    assert [*candidates("x")][-1] in taken_message("x")
