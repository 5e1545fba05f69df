"""The events of one connection: each request once, each refusal, each tunnel that is not opened. No secret in any."""

import time
from dataclasses import dataclass

from mitmproxy import http

from bottle_mitmproxy.policy.decision import Decision
from bottle_mitmproxy.policy.requests import METHOD
from bottle_mitmproxy.policy.scanner import redact, redact_target
from bottle_mitmproxy.sidecar.office import Office
from claude_bottle.seam.event import Event, Verdict

__all__ = ["Case", "Journal", "case_of"]


@dataclass(slots=True)
class Case:
    """What is known of a request that was let in: the decision, what was found in it, the bytes each way."""

    decision: Decision
    found: str = ""
    sent: int = 0
    received: int = 0
    told: bool = False


def case_of(flow: http.HTTPFlow) -> Case | None:
    """Return the case of a flow, None if it was not let in."""
    case = flow.metadata.get("case")
    return case if isinstance(case, Case) else None


class Journal:
    """Reports to the office."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._open: dict[str, http.HTTPFlow] = {}

    def let_in(self, flow: http.HTTPFlow, decision: Decision) -> None:
        """Open the case of a request; it is reported when that is over."""
        flow.metadata["case"] = Case(decision)
        self._open[flow.id] = flow

    def break_off(self) -> None:
        """Report what was let in and is not over: nobody will see its end."""
        for flow in tuple(self._open.values()):
            self.answered(flow, "the bottle ended first")

    def refused(self, flow: http.HTTPFlow, decision: Decision, verdict: Verdict = "deny") -> None:
        """Report a refusal, once for a flow."""
        if flow.metadata.get("refused"):
            return
        flow.metadata["refused"] = True
        self._open.pop(flow.id, None)
        method = flow.request.method if METHOD.fullmatch(flow.request.method) else ""
        path = "" if method == "CONNECT" or decision.rule == "credential" else redact_target(flow.request.path)
        self._report(decision, verdict, method, path)

    def found(self, flow: http.HTTPFlow, decision: Decision, verdict: Verdict) -> None:
        """Report a credential in a message of a WebSocket."""
        self._report(decision, verdict, flow.request.method, redact_target(flow.request.path))

    def answered(self, flow: http.HTTPFlow, reason: str = "") -> None:
        """Report a request that was let in, once, when it is over; `reason` says why it came to nothing."""
        case, request = case_of(flow), flow.request
        if case is None or case.told or flow.metadata.get("refused"):
            return
        case.told = True
        self._open.pop(flow.id, None)
        self._office.report(
            Event(
                time=request.timestamp_start or time.time(),
                verdict="warn" if case.found else "allow",
                host=case.decision.host,
                port=case.decision.port,
                method=request.method,
                path=redact_target(request.path),
                status=flow.response.status_code if flow.response else None,
                reason=case.found or self._safe(reason),
                rule="dlp" if case.found else "",
                sent=case.sent,
                received=case.received,
            )
        )

    def tunnel(self, decision: Decision, reason: str = "") -> None:
        """Report a tunnel, or why there is none."""
        verdict: Verdict = "allow" if decision.allowed or decision.rule == "upstream" else "deny"
        self._report(decision, verdict, "CONNECT", "", reason)

    def _report(self, decision: Decision, verdict: Verdict, method: str, path: str, reason: str = "") -> None:
        self._office.report(
            Event(
                time=time.time(),
                verdict=verdict,
                host=redact(decision.host),
                port=decision.port or None,
                method=method,
                path=path,
                status=decision.status,
                reason=self._safe(reason or decision.reason),
                rule=decision.rule,
                fix=self._safe(decision.fix or decision.line),
            )
        )

    def _safe(self, text: str) -> str:
        """Return a text without credentials, those of the bottle among them: it may quote what was sent."""
        return redact(self._office.vault.clean(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace"))
