"""What pipelock really does for each host: it has one action for all that it opens, and hosts that it does not open."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from claude_bottle.seam.levels import DlpAction, HostRule, Level

__all__ = ["too_strict", "what_holds"]


def what_holds(wanted: Iterable[HostRule], action: DlpAction) -> tuple[HostRule, ...]:
    """Return the rules that hold under one action; `warn` beside `block` becomes `opaque`, which the agent works with.

    No host here wants `block` under `warn`: `too_strict` has refused that.
    """
    return tuple(_nearest(rule, action) for rule in wanted)


def _nearest(rule: HostRule, action: DlpAction) -> HostRule:
    rule = replace(rule, plain=action)
    if rule.level in {"opaque", action}:
        return rule
    return replace(rule, level="opaque", why=f"{rule.why} asks for {rule.level}; pipelock cannot for one host")


def too_strict(inspect: Mapping[str, Level], action: DlpAction) -> list[str]:
    """Return the hosts for which more is asked than the one action does: none of them is let through unlooked at."""
    return sorted(host for host, level in inspect.items() if level == "block" and action != "block")
