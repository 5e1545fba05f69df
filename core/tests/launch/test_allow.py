"""A host that is opened for a running bottle, where its proxy will not have it."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from claude_bottle.errors import UnavailableError
from claude_bottle.launch.allow import Allowances
from claude_bottle.launch.control import AllowRequest
from claude_bottle.plan.plan import EgressPlan
from claude_bottle.seam.levels import HostRule


def test_a_proxy_that_needs_a_restart_says_so_and_nothing_changes() -> None:
    """The cure is in the hint; asked again, the host is still not among those that are open."""
    asked: list[list[str]] = []

    def reload(rules: Sequence[HostRule]) -> bool:
        asked.append([rule.host for rule in rules])
        return len(asked) > 1

    prepared = SimpleNamespace(plan=SimpleNamespace(egress=EgressPlan(rules=(), dlp_action="block")))
    allowances = Allowances(cast("Any", prepared), cast("Any", SimpleNamespace(reload=reload)))
    with pytest.raises(UnavailableError, match="cannot change its rules while it runs") as caught:
        allowances.allow(AllowRequest("a.example"))
    assert caught.value.hint == "stop the bottle, and start it again"
    for _ in range(2):
        allowances.allow(AllowRequest("a.example"))
    assert asked == [["a.example"], ["a.example"]]
