"""A run of the conformance kit: the test module that is written for it, and the report."""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec
from msgspec import Struct

from claude_bottle.cli.errors import say
from claude_bottle.cli.installed import installed
from claude_bottle.cli.staging import choose_stage, find_one
from claude_bottle.errors import UnavailableError, UsageError
from claude_bottle.plugins.record import Record
from claude_bottle.seam.printable import printable

if TYPE_CHECKING:
    from claude_bottle.testing.report import Ended

__all__ = ["Trial", "conform"]

TEST = """\
from claude_bottle.testing import {contract}


class TestConformance({contract}):
    name, target, section, lacks = {name!r}, {target!r}, {section!r}, {lacks!r}
"""
UPSTREAM = "    address, port = {address!r}, {port}\n"
STAGE = "    stage = {name!r}, {target!r}\n"

EXTRA = "claude-bottle-core[testing]"


class _Report(Struct, frozen=True, kw_only=True):
    """A run in JSON, with the number of its form."""

    plugin: Record
    stage: str | None
    tests: "Sequence[Ended]"
    version: int = 1


class Trial(NamedTuple):
    """How a plugin is tried: on which backend, with what in its section (JSON), and what it may lack (WORD=REASON).

    `address` and `port` are where the upstream of a proxy listens; the kit chooses what is empty or 0.
    """

    stage: str | None = None
    section: str = "{}"
    lacks: tuple[str, ...] = ()
    address: str = ""
    port: int = 0


def conform(name: str, words: Sequence[str], trial: Trial, form: str) -> bool:
    """Run the kit against an installed plugin and print what it found; whether no contract is broken."""
    if any(find_spec(module) is None for module in ("pytest", "cryptography")):
        raise UnavailableError("the conformance kit needs pytest", f"pip install '{EXTRA}'")
    inventory = installed()
    record = find_one(name, inventory)
    text = TEST.format(
        contract=f"{record.kind.capitalize()}Contract",
        name=record.name,
        target=record.target,
        section=_section(trial.section),
        lacks=dict(_lack(text) for text in trial.lacks),
    )
    stage = choose_stage(record, trial.stage, inventory)
    if stage is not None:
        text += STAGE.format(name=stage.name, target=stage.target)
    if record.kind == "proxy":
        text += UPSTREAM.format(address=trial.address, port=trial.port)
    elif trial.port or trial.address:
        what = "--port and --address are where the upstream of a proxy listens"
        raise UsageError(what, f"leave them out: {record.name} is no proxy")
    tests = _run(text, words)
    if form == "json":
        report = _Report(plugin=record, stage=stage and stage.name, tests=tests)
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
    else:
        _show(record, stage, tests)
    return bool(tests) and all(it.outcome != "failed" for it in tests)


def _section(text: str) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UsageError(f"--section is no JSON object: {error}") from error


def _lack(text: str) -> tuple[str, str]:
    word, _, reason = text.partition("=")
    if not reason:
        raise UsageError(f"--lack {text}: why?", "write it as WORD=REASON")
    return word, reason


def _run(text: str, words: Sequence[str]) -> "list[Ended]":
    """Run pytest on a module of our own, with nothing of this folder's configuration; what it prints goes to stderr."""
    from claude_bottle.testing.report import REPORT_VARIABLE, read_report  # noqa: PLC0415 - needs pytest

    with tempfile.TemporaryDirectory(prefix="conform-") as folder:
        report = Path(folder, "report")
        report.touch()
        Path(folder, "test_conformance.py").write_text(text)
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        options = ("-q", "-p", "claude_bottle.testing.report", "-p", "no:cacheprovider", "--tb=short")
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, *words, folder],
            env={**os.environ, REPORT_VARIABLE: str(report)},
            cwd=folder,
            stdout=sys.stderr,
            check=False,
        )
        return read_report(report)


def _show(record: Record, stage: Record | None, tests: "Sequence[Ended]") -> None:
    place = f" on {stage.name}" if stage else "" if record.kind == "backend" else " on the kit's own backend"
    click.echo(click.style(f"{record.kind} {record.name} ({record.distribution} {record.version}){place}", bold=True))
    for part in dict.fromkeys(it.part for it in tests):
        counts = Counter(it.outcome for it in tests if it.part == part)
        said = ", ".join(f"{counts[key]} {key}" for key in ("passed", "failed", "skipped") if counts[key])
        click.echo(f"  {part:<14}{said}")
    for outcome, reason in dict.fromkeys((it.outcome, it.reason) for it in tests if it.outcome != "passed"):
        _tell(outcome, reason, [it for it in tests if (it.outcome, it.reason) == (outcome, reason)])
    if not tests:
        say("no test was run")
        return
    whole = Counter(it.outcome for it in tests)
    verdict = "breaks its contract" if whole["failed"] else "conforms"
    counts = ", ".join(f"{whole[key]} {key}" for key in ("passed", "failed", "skipped"))
    click.echo(f"\n{record.name} {verdict}: {counts}")


def _tell(outcome: str, reason: str, tests: "Sequence[Ended]") -> None:
    """Show what ended alike for one reason."""
    shown = click.style(outcome, fg="red" if outcome == "failed" else "yellow")
    if len(tests) == 1:
        click.echo(f"\n{shown} {tests[0].name}\n  {tests[0].sentence}\n  {printable(reason)}")
        return
    click.echo(f"\n{shown} {len(tests)} tests, for one reason\n  {printable(reason)}")
    for it in tests:
        click.echo(f"  - {it.name}: {it.sentence}")
