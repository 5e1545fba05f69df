"""libseccomp as the second opinion: its numbers, and its own program for the same table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from errno import ENOSYS
from ipaddress import IPv4Address, summarize_address_range
from itertools import pairwise

import pytest

from claude_bottle.seam.seccomp.numbers import NEWEST
from claude_bottle.seam.syscalls import RULES, AnyBit, Condition, OneOf

try:
    import pyseccomp  # pyright: ignore[reportMissingTypeStubs]  # annotated, but not marked as typed
except RuntimeError:  # what it raises where the system library is missing
    pytest.skip(
        "libseccomp.so.2 is missing: install the package libseccomp2 (Debian, Ubuntu) or libseccomp (others)",
        allow_module_level=True,
    )

ARCHITECTURES = {"x86_64": pyseccomp.Arch.X86_64, "aarch64": pyseccomp.Arch.AARCH64}
LAST = 1024  # no kernel has a call above
LOW_HALF = 2**32 - 1
_NEWER_THAN_LIBSECCOMP = {"open_tree_attr": 467}
_UNKNOWN = -1


def resolve(machine: str, name: str) -> int:
    """Return libseccomp's number of a call, negative where the machine does not have it."""
    number = pyseccomp.resolve_syscall(ARCHITECTURES[machine], name)
    return _NEWER_THAN_LIBSECCOMP[name] if number == _UNKNOWN else number


def libseccomp_program(machine: str) -> tuple[bytes, set[int]]:
    """Return libseccomp's program for the rule table, and the numbers that it could not be told about.

    These are calls newer than the library, for the machine that is not the one it runs on: there it takes
    names alone.
    """
    filter_ = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    filter_.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    native = filter_.exist_arch(ARCHITECTURES[machine])
    if not native:
        filter_.add_arch(ARCHITECTURES[machine])
        filter_.remove_arch(pyseccomp.Arch.NATIVE)
    untold: set[int] = set()
    for call, action, arguments in _rules():
        if native or isinstance(call, str):
            filter_.add_rule(action, call, *arguments)
        else:
            untold.add(call)
    with tempfile.TemporaryFile() as file:
        filter_.export_bpf(file)
        file.seek(0)
        return file.read(), untold


def _rules() -> Iterator[tuple[str | int, int, list[pyseccomp.Arg]]]:
    """Yield call, action and arguments of each rule: the call by name, or by number where it has none."""
    for rule in RULES:
        for name in rule.calls:
            known = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) != _UNKNOWN
            for arguments in [[]] if rule.when is None else _alternatives(rule.when):
                yield name if known else _NEWER_THAN_LIBSECCOMP[name], pyseccomp.ERRNO(rule.errno), arguments
    for number in range(NEWEST + 1, LAST + 1):
        yield number, pyseccomp.ERRNO(ENOSYS), []


def _alternatives(condition: Condition) -> Iterator[list[pyseccomp.Arg]]:
    """Yield comparisons of which one holds exactly when the condition does; libseccomp has no others."""
    if isinstance(condition, AnyBit):
        pairs = [(1 << bit, 1 << bit) for bit in range(32) if condition.mask >> bit & 1]
    elif isinstance(condition, OneOf):
        pairs = [(LOW_HALF, value) for value in condition.values]
    else:
        pairs = _everything_but(condition.values)
    for mask, value in pairs:
        yield [pyseccomp.Arg(condition.argument, pyseccomp.MASKED_EQ, mask, value)]


def _everything_but(values: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return mask and value of aligned blocks that cover all 32-bit numbers but these, like IPv4 networks."""
    edges = sorted({-1, *values, LOW_HALF + 1})
    gaps = [(low + 1, high - 1) for low, high in pairwise(edges) if high - low > 1]
    return [
        (int(block.netmask), int(block.network_address))
        for first, last in gaps
        for block in summarize_address_range(IPv4Address(first), IPv4Address(last))
    ]
