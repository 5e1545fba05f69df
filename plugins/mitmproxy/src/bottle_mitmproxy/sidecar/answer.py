"""A refusal as an HTTP response."""

from mitmproxy import http

from bottle_mitmproxy.policy.decision import Decision, explain

__all__ = ["answer"]


def answer(decision: Decision) -> http.Response:
    """Return the response to a refused request: the same words in headers, for clients that hide bodies, and body."""
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Bottle-Rule": decision.rule,
        "X-Bottle-Reason": decision.reason,
    }
    if fix := decision.fix or decision.line:
        headers["X-Bottle-Fix"] = fix
    plain = {name: _field(value) for name, value in headers.items()}
    return http.Response.make(decision.status, explain(decision).encode(), plain)


def _field(text: str) -> str:
    """Return what may stand in a header: an upstream's own words may be in it."""
    return "".join(c if c.isprintable() else " " for c in text).encode("ascii", "backslashreplace").decode()
