"""The threads that look after a running bottle: one writes down what the proxy decides, one watches it live."""

import threading
from collections.abc import Callable
from typing import NamedTuple

from claude_bottle.launch.evidence import EvidenceFile, shortened
from claude_bottle.launch.redact import Redactor
from claude_bottle.seam.event import Event
from claude_bottle.seam.proxy import Proxy

__all__ = ["Watch", "watch_proxy"]

KEPT = 10_000
"""Events that are kept in memory for the summary at the end; the file has all."""

LAST_EVENTS = 2.0
"""Seconds to wait, once the proxy is stopped, for what it still had to say."""


class Watch(NamedTuple):
    """Both threads, what they have seen so far, and whether the end is now expected.

    `report` puts an event of someone else's on the record; it does nothing once the end is expected.
    """

    recorder: threading.Thread
    guard: threading.Thread
    expected: threading.Event
    ended: threading.Event
    events: list[Event]
    report: Callable[[Event], None]

    def finish(self) -> None:
        """Wait for the last events, after the proxy was stopped."""
        self.recorder.join(LAST_EVENTS)


class _Ledger:
    """Keeps events in the evidence, redacted, and the first of them in memory."""

    def __init__(self, evidence: EvidenceFile, redactor: Redactor, expected: threading.Event) -> None:
        self.events: list[Event] = []
        self._evidence = evidence
        self._redactor = redactor
        self._expected = expected

    def keep(self, reported: Event) -> None:
        """Keep one event."""
        event = shortened(self._redactor.event(reported))
        if len(self.events) < KEPT:
            self.events.append(event)
        self._evidence.write(event)

    def report(self, event: Event) -> None:
        """Keep one event of somebody who may outlive the evidence."""
        if not self._expected.is_set():
            self.keep(event)


def watch_proxy(
    proxy: Proxy, evidence: EvidenceFile, redactor: Redactor, alarm: Callable[[str], None], *, unrecorded: str
) -> Watch:
    """Begin to record the proxy's events, redacted, and call `alarm` with a sentence if it ends unasked.

    `unrecorded` is the host that core itself asks for to prove the refusal: nothing that the agent did.
    """
    expected, ended = threading.Event(), threading.Event()
    ledger = _Ledger(evidence, redactor, expected)

    def record() -> None:
        try:
            for reported in proxy.events():
                if reported.host != unrecorded:
                    ledger.keep(reported)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever ends the record, the user must know that it ended
            if not expected.is_set():
                alarm(f"events of the proxy are no longer recorded: {error}")

    def guard() -> None:
        code = proxy.wait()
        ended.set()
        if not expected.is_set():
            alarm(f"the proxy ended (exit code {code}): this bottle has no way out any more")

    recorder = threading.Thread(target=record, name="events", daemon=True)
    watcher = threading.Thread(target=guard, name="proxy guard", daemon=True)
    recorder.start()
    watcher.start()
    return Watch(recorder, watcher, expected, ended, ledger.events, ledger.report)
