"""One decision of a proxy, in the one format that every proxy's decisions are kept in."""

from typing import Literal

from msgspec import Struct

__all__ = ["Event", "Verdict"]

Verdict = Literal["allow", "warn", "deny"]


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request, a tunnel or a refusal. It never holds a secret: the proxy redacts before it reports.

    `time` is seconds since the epoch; `sent` and `received` are bytes of bodies, where known.
    `by` is who decided, where it was not the proxy.
    `rule` is a short stable word (`allowlist`, `port`, `dlp`, `sni` …), `fix` the line that would allow it.
    """

    time: float
    verdict: Verdict
    host: str
    bottle: str = ""
    by: str = ""
    port: int | None = None
    method: str = ""
    path: str = ""
    status: int | None = None
    reason: str = ""
    rule: str = ""
    fix: str = ""
    sent: int | None = None
    received: int | None = None
