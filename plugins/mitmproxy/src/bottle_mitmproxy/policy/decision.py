"""One answer of the policy, and the words in which a refusal explains itself."""

from typing import Literal

from msgspec import Struct

from claude_bottle.seam.levels import Level

__all__ = ["Decision", "Rule", "Verdict", "explain"]

Verdict = Literal["allow", "deny"]
Rule = Literal[
    "",
    "address",
    "allowlist",
    "credential",
    "dlp",
    "encoding",
    "form",
    "host",
    "internal",
    "mismatch",
    "port",
    "protocol",
    "size",
    "tls",
    "upstream",
]


class Decision(Struct, frozen=True, kw_only=True):
    """What was asked for, and whether it may happen.

    `host` is canonical, or what was written if it cannot be read. `level` is set where it is allowed,
    and `raw` where bytes that are neither TLS nor HTTP may pass.
    A refusal has an HTTP `status`, the `rule` in one word, a `reason` that is a sentence without a full
    stop, a `fix`: a command that would allow it, and the `line` of the manifest that would.
    """

    verdict: Verdict
    host: str
    port: int
    level: Level | None = None
    raw: bool = False
    status: int = 200
    rule: Rule = ""
    reason: str = ""
    fix: str = ""
    line: str = ""

    @property
    def allowed(self) -> bool:
        """Whether it may happen."""
        return self.verdict == "allow"


def explain(decision: Decision) -> str:
    """Return the text of a refusal, as a program's user reads it at the end of an error."""
    place = f"{decision.host}:{decision.port}" if decision.port else decision.host
    verb = "cannot reach" if decision.rule == "upstream" else "refused"
    lines = [f"claude-bottle {verb} {place}: {decision.reason}.", f"rule: {decision.rule}"]
    if decision.fix:
        lines.append(f"to allow it: {decision.fix}")
    if decision.line:
        lines.append(f"{'or' if decision.fix else 'to allow it,'} in the manifest: {decision.line}")
    return "\n".join(lines) + "\n"
