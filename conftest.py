"""What every test run here shares: who may run a test, and a count of what was left out and why."""

import os
from collections import Counter
from collections.abc import Iterable

import pytest

SKIPS = {
    "root": (os.geteuid() != 0, "needs root (sudo make pytest)"),
    "user": (os.geteuid() == 0, "needs an unprivileged user (make test-user)"),
}


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Leave out what asks for the other kind of user."""
    for item in items:
        for marker, (unfit, reason) in SKIPS.items():
            if unfit and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were left out for which reason: a skip that nobody sees is a hole."""
    skipped: list[pytest.TestReport | pytest.CollectReport] = terminalreporter.getreports("skipped")
    reasons = Counter(skip_reason(report) for report in skipped)
    if reasons:
        terminalreporter.section("skips by reason")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count:5} {reason}")


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The words that a skip was given."""
    match report.longrepr:
        case (_, _, str(words)):
            return words.removeprefix("Skipped: ")
        case other:
            return str(other)
