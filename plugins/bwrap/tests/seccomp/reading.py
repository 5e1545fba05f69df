"""The rule table read word by word, without BPF: what the assembled program is held to."""

from __future__ import annotations

from collections.abc import Iterable
from errno import ENOSYS

from claude_bottle.seam.seccomp.numbers import NEWEST, Machine
from claude_bottle.seam.syscalls import AnyBit, Condition, OneOf, Rule

from .interpreter import Call

ALLOW = 0x7FFF0000
ERRNO = 0x00050000
KILL_PROCESS = 0x80000000


def verdict(machine: Machine, rules: Iterable[Rule], call: Call) -> int:
    """Return what the table says of a call, as a seccomp return value."""
    if call.arch != machine.audit_arch:
        return KILL_PROCESS
    if call.number == 0xFFFFFFFF:
        return ALLOW
    if machine.foreign_from is not None and call.number >= machine.foreign_from:
        return KILL_PROCESS
    if call.number > NEWEST:
        return ERRNO | ENOSYS
    for rule in rules:
        if call.number in [machine.numbers.get(name) for name in rule.calls]:
            refused = rule.when is None or holds(rule.when, call)
            return ERRNO | rule.errno if refused else ALLOW
    return ALLOW


def holds(condition: Condition, call: Call) -> bool:
    """Say whether a condition is true of a call's arguments."""
    argument = call.arguments[condition.argument] % 2**32
    if isinstance(condition, AnyBit):
        return argument & condition.mask != 0
    return (argument in condition.values) == isinstance(condition, OneOf)
