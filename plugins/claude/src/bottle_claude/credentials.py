"""The credentials of Claude Code, in the order in which its plugin prefers them."""

from claude_bottle.seam.part import Credential

__all__ = ["CREDENTIALS", "GATEWAY", "MODEL"]

MODEL = "api.anthropic.com"
GATEWAY = "ANTHROPIC_AUTH_TOKEN"
"""A bearer token for whatever stands in the place of the model's host: the agent holds it."""

CREDENTIALS = (
    Credential(
        name="CLAUDE_CODE_OAUTH_TOKEN",
        host=MODEL,
        header="authorization",
        format="Bearer {}",
        prefix="sk-ant-oat",
        what="a long-lived token of a Claude subscription",
        how="`claude setup-token`, on a machine with a browser, prints one",
    ),
    Credential(
        name="ANTHROPIC_API_KEY",
        host=MODEL,
        header="x-api-key",
        prefix="sk-ant-api",
        what="an API key",
        how="make one in the Console of Anthropic",
    ),
)
"""`CLAUDE_CODE_OAUTH_TOKEN` goes as a bearer token, `ANTHROPIC_API_KEY` as it is in `x-api-key` (seen in 2.1.197)."""
