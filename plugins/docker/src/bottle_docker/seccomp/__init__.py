"""The seccomp profile of the agent's container: the engine's published default, tightened by core's rule table.

`default.json` is `profiles/seccomp/default.json` of https://github.com/moby/moby at v28.2.2, unchanged, under the
Apache License 2.0 (this distribution's LICENSE has its text). It decides what no rule of ours names.
"""

from collections.abc import Iterator, Sequence
from errno import EPERM
from functools import cache
from importlib import resources
from typing import Any

from msgspec import Struct, json

from claude_bottle.seam.syscalls import RULES, AnyBit, NoneOf, OneOf, Rule

__all__ = ["seccomp_profile"]

DEFAULT = "default.json"
ALLOW, REFUSE = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
WHOLE = 0xFFFF_FFFF


class Profile(Struct, rename="camel"):
    """A profile in the engine's own form, as far as we read it."""

    default_action: str
    default_errno_ret: int
    arch_map: list[Any]
    syscalls: list[dict[str, Any]]


@cache
def seccomp_profile() -> str:
    """Return the profile as JSON, as `SecurityOpt` takes it.

    What the engine allows is a list, so a call that a rule names is taken off every entry of it, and comes back
    under the rule's own condition, turned around, if the rule has one.
    """
    profile = json.decode(resources.files(__name__).joinpath(DEFAULT).read_bytes(), type=Profile)
    named = {call for rule in RULES for call in rule.calls}
    kept = [entry | {"names": [name for name in entry["names"] if name not in named]} for entry in profile.syscalls]
    profile.syscalls = [entry for entry in kept if entry["names"]]
    for rule in RULES:
        profile.syscalls += entries(rule)
    return json.encode(profile).decode()


def entries(rule: Rule) -> list[dict[str, Any]]:
    """Return what stands for one rule: what its condition leaves open, and an errno that is not the default's.

    Nothing is both allowed and refused: how the library behind the engine weighs two such entries is its own affair.
    """
    names = list(rule.calls)
    match rule.when:
        case None if rule.errno == EPERM:
            return []
        case None:
            return [{"names": names, "action": REFUSE, "errnoRet": rule.errno}]
        case NoneOf(argument, values):
            return [allow(names, argument, WHOLE, value) for value in values]
        case AnyBit(argument, mask):
            return [allow(names, argument, mask, 0)]
        case OneOf(argument, values):
            return [allow(names, argument, mask, value) for mask, value in others(values)]


def allow(names: list[str], argument: int, mask: int, value: int) -> dict[str, Any]:
    """Return an entry that lets calls through whose argument, under a mask, is a value."""
    condition = {"index": argument, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
    return {"names": names, "action": ALLOW, "args": [condition]}


def others(values: Sequence[int], bit: int = 1 << 31, mask: int = 0, prefix: int = 0) -> Iterator[tuple[int, int]]:
    """Yield masks and values that together fit every number of 32 bits but the given ones.

    A comparison for inequality would look at the upper half of the register too, which the kernel does not.
    """
    for way in (0, bit):
        fitting = [value for value in values if value & bit == way]
        if not fitting:
            yield mask | bit, prefix | way
        elif bit > 1:
            yield from others(fitting, bit >> 1, mask | bit, prefix | way)
