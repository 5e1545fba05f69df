"""A plan of a bottle with Claude Code, on no backend."""

from claude_bottle.plan.plan import EgressPlan, Plan
from claude_bottle.plan.spec import Choice

__all__ = ["PLAN"]

PLAN = Plan(
    agent="reviewer",
    bottle="dev",
    slug="reviewer",
    agent_plugin="claude",
    backend=Choice("none", "flag"),
    proxy=Choice("none", "flag"),
    egress=EgressPlan(rules=(), dlp_action="block"),
    argv=("claude",),
    folder="/project",
)
