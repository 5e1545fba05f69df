"""What pipelock will really do for each host: it has one action for all hosts that it opens."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from claude_bottle.seam.levels import DlpAction, HostRule

__all__ = ["answer", "one_action"]


def one_action(wanted: Iterable[HostRule], dlp_action: DlpAction) -> DlpAction:
    """Return the action for everything that is opened: `block` as soon as anything is to be blocked."""
    return "block" if dlp_action == "block" or any("block" in {it.level, it.plain} for it in wanted) else "warn"


def answer(wanted: Sequence[HostRule], dlp_action: DlpAction) -> tuple[HostRule, ...]:
    """Return one rule for each that is wanted, with the nearest level with which its user works.

    A host that must not be blocked where others are is not opened, and neither is a host of SSH, at any of
    its ports, nor what lies below a wildcard that is not opened. Plain HTTP always has the one action.
    What this returns is answered with itself.
    """
    action = one_action(wanted, dlp_action)
    rules = [_alone(rule, action) for rule in wanted]
    closed = [rule.host for rule in rules if rule.level == "opaque" and rule.host.startswith("*.")]
    return tuple(_beside(rule, closed) for rule in rules)


def _alone(rule: HostRule, action: DlpAction) -> HostRule:
    if rule.level == "opaque" or (rule.level == action and not rule.raw_ports):
        return replace(rule, plain=action)
    obstacle = "one port" if rule.raw_ports else "one host"
    return replace(rule, level="opaque", plain=action, why=_why(rule, obstacle))


def _beside(rule: HostRule, closed: Iterable[str]) -> HostRule:
    above = [wildcard for wildcard in closed if rule.host.removeprefix("*.").endswith(wildcard[1:])]
    if rule.level == "opaque" or not above:
        return rule
    return replace(rule, level="opaque", why=_why(rule, f"one host below {max(above, key=len)}"))


def _why(rule: HostRule, obstacle: str) -> str:
    return f"{rule.why} asks for {rule.level}; pipelock cannot for {obstacle}"
