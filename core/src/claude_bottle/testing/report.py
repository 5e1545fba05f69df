"""A plugin of pytest that writes down how each test of a contract ended, for `bottle plugins conform`."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from msgspec import Struct

__all__ = ["REPORT_VARIABLE", "Ended", "read_report"]

REPORT_VARIABLE = "CLAUDE_BOTTLE_CONFORM_REPORT"
"""Where to write to: a line of JSON for each test."""

Outcome = Literal["passed", "skipped", "failed"]


class Ended(Struct, frozen=True, kw_only=True):
    """A test of a contract: the part that it belongs to, what it holds in one sentence, and how it ended."""

    part: str
    name: str
    sentence: str
    outcome: Outcome
    reason: str = ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note how a test ended; a failure before or after it is the test's."""
    report = yield
    if report.when == "call" or report.outcome != "passed":
        _note(item, report)
    return report


def read_report(path: Path) -> list[Ended]:
    """Return each test once, with the worst that was noted of it."""
    worst: dict[str, Ended] = {}
    for line in path.read_bytes().splitlines():
        ended = msgspec.json.decode(line, type=Ended)
        if ended.name not in worst or ended.outcome == "failed":
            worst[ended.name] = ended
    return list(worst.values())


def _note(item: pytest.Item, report: pytest.TestReport) -> None:
    function = getattr(item, "function", None)
    part = str(getattr(function, "__qualname__", "")).partition(".")[0].removesuffix("Contract").lower()
    ended = Ended(
        part=part or "plugin",
        name=item.name,
        sentence=str(getattr(function, "__doc__", None) or item.name).partition("\n")[0],
        outcome=report.outcome,
        reason=_reason(report),
    )
    with Path(os.environ[REPORT_VARIABLE]).open("ab") as file:
        file.write(msgspec.json.encode(ended) + b"\n")


def _reason(report: pytest.TestReport) -> str:
    if report.outcome == "passed":
        return ""
    if isinstance(report.longrepr, tuple):  # of a skip: file, line, words
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", report.longreprtext)).partition("\n")[0]
