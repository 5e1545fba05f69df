"""The seccomp profile: the engine's own list, less what core's rules refuse."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottle_docker.seccomp import others, seccomp_profile
from claude_bottle.seam.syscalls import RULES, AnyBit, NoneOf, OneOf, Rule

PROFILE: dict[str, Any] = json.loads(seccomp_profile())
ALLOW, MASKED = "SCMP_ACT_ALLOW", "SCMP_CMP_MASKED_EQ"
WORDS = st.integers(0, 2**64 - 1)


def allowed(call: str, value: int, argument: int) -> bool:
    """Say whether a profile lets a call through, for a bottle without capabilities, given one argument."""
    for entry in PROFILE["syscalls"]:
        if call not in entry["names"] or entry["action"] != ALLOW or entry.get("includes", {}).get("caps"):
            continue
        for condition in entry.get("args") or ():
            assert (condition["op"], condition["index"]) == (MASKED, argument)
            if value & condition["value"] != condition["valueTwo"]:
                break
        else:
            return True
    return False


def refused(rule: Rule, value: int) -> bool:
    """Say what a rule itself says of an argument."""
    low = value & 0xFFFF_FFFF
    match rule.when:
        case None:
            return True
        case OneOf(_, values):
            return low in values
        case NoneOf(_, values):
            return low not in values
        case AnyBit(_, mask):
            return bool(low & mask)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.calls[0])
@settings(deadline=None)
@given(value=WORDS)
def test_a_rule_has_its_own_verdict(rule: Rule, value: int) -> None:
    """K2: also where the upper half of a register holds garbage, which the kernel does not look at."""
    argument = rule.when.argument if rule.when else 0
    interesting = [value]
    if isinstance(rule.when, OneOf | NoneOf):
        interesting += [value & ~0xFFFF_FFFF | it for it in rule.when.values]
    for call in rule.calls:
        for it in interesting:
            assert allowed(call, it, argument) != refused(rule, it), (call, hex(it))


@given(values=st.sets(st.integers(0, 2**32 - 1), min_size=1, max_size=5), probe=WORDS)
def test_others_are_all_others(values: set[int], probe: int) -> None:
    """Every number of 32 bits but those, and none of those."""
    masks = list(others(sorted(values)))
    for number in (probe, *values, *(it ^ 1 for it in values)):
        fits = any(number & mask == value for mask, value in masks)
        assert fits == (number & 0xFFFF_FFFF not in values)


def test_what_no_rule_names_is_as_the_engine_has_it() -> None:
    """Nothing is added to its list."""
    named = {call for rule in RULES for call in rule.calls}
    assert PROFILE["defaultAction"] == "SCMP_ACT_ERRNO"
    assert any("openat" in entry["names"] for entry in PROFILE["syscalls"])
    unnamed = [name for entry in PROFILE["syscalls"] for name in entry["names"] if name not in named]
    assert {"read", "execve", "ptrace"} <= set(unnamed)
    assert "add_key" not in unnamed
