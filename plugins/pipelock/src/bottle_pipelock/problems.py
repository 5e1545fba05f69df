"""What is wrong with a launch before it begins, as far as this proxy can tell."""

from collections.abc import Iterator

from bottle_pipelock.levels import answer
from bottle_pipelock.section import PipelockSection, bytes_of
from claude_bottle.errors import Problem
from claude_bottle.plan.hosts import wanted_rules
from claude_bottle.plan.spec import BottleSpec

__all__ = ["find_problems"]

DIALLED = frozenset({"80", "443"})
OTHER = "or choose another proxy"


def find_problems(spec: BottleSpec) -> Iterator[Problem]:
    """Yield every problem."""
    section = spec.section(PipelockSection)
    try:
        bytes_of(section.memory)
    except ValueError as error:
        yield Problem(f"pipelock.memory: {error}")
    if not section.image or section.image.startswith("-") or not section.image.isprintable() or " " in section.image:
        yield Problem(f"pipelock.image: {section.image!r} is not the name of an image")
    yield from _upstream_problems(spec)
    yield from _level_problems(spec)


def _upstream_problems(spec: BottleSpec) -> Iterator[Problem]:
    if spec.upstream.proxy:
        yield Problem(
            "pipelock cannot go through the host's own upstream proxy",
            f"unset HTTPS_PROXY if this machine has another way out, {OTHER}",
        )
    for name, place in spec.upstream.hosts:
        asked = DIALLED | {str(entry.port) for entry in spec.ssh if entry.host == name}
        if place.rpartition(":")[2] not in asked:
            yield Problem(
                f"upstream.hosts: {name}: {place}: pipelock dials the port that was asked for, and no other",
                f"let the upstream listen at {' or '.join(sorted(asked))}, {OTHER}",
            )
    for network in spec.egress.private_addresses:
        if network.endswith("/0"):
            yield Problem(f"egress.private_addresses: {network}: pipelock does not take a network of everything")


def _level_problems(spec: BottleSpec) -> Iterator[Problem]:
    """A manifest's own `block` is held or refused; everything else is answered with the nearest level."""
    action = spec.egress.dlp_action
    wanted = wanted_rules(spec, ())
    for asked, given in zip(wanted, answer(wanted, action), strict=True):
        if asked.level != "block" or asked.why != "manifest":
            continue
        if action == "warn":
            yield Problem(
                f"egress.inspect: {asked.host}: block, beside dlp_action: warn: pipelock has one action for all hosts",
                f"write dlp_action: block, {OTHER}",
            )
        elif given.level != "block":
            yield Problem(f"egress.inspect: {asked.host}: {given.why}", f"remove that line, {OTHER}")
