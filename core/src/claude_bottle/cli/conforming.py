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

from claude_bottle.cli.diagnosing import rows_named
from claude_bottle.cli.errors import say
from claude_bottle.cli.installed import installed
from claude_bottle.errors import PluginError, UnavailableError, UsageError
from claude_bottle.plugins.inventory import Inventory
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
PORT = "    port = {port}\n"
STAGE = "    stage = {name!r}, {target!r}\n"

EXTRA = "claude-bottle-core[testing]"


class _Report(Struct, frozen=True, kw_only=True):
    """A run in JSON, with the number of its form."""

    plugin: Record
    tests: "Sequence[Ended]"
    version: int = 1


class Trial(NamedTuple):
    """How a plugin is tried: on which backend, with what in its section (JSON), and what it may lack (WORD=REASON).

    `port` is where the upstream of a proxy listens; None lets the machine choose.
    """

    stage: str | None = None
    section: str = "{}"
    lacks: tuple[str, ...] = ()
    port: int | None = None


def conform(name: str, words: Sequence[str], trial: Trial, form: str) -> bool:
    """Run the kit against an installed plugin and print what it found; whether no contract is broken."""
    if any(find_spec(module) is None for module in ("pytest", "cryptography")):
        raise UnavailableError("the conformance kit needs pytest", f"pip install '{EXTRA}'")
    inventory = installed()
    record = _one(name, inventory)
    text = TEST.format(
        contract=f"{record.kind.capitalize()}Contract",
        name=record.name,
        target=record.target,
        section=_section(trial.section),
        lacks=dict(_lack(text) for text in trial.lacks),
    )
    if trial.stage is not None and record.kind != "backend":
        backend = _one(f"backend/{trial.stage}", inventory)
        text += STAGE.format(name=backend.name, target=backend.target)
    elif trial.stage is not None:
        raise UsageError("a backend is its own stage", "leave --stage out")
    if trial.port is not None and record.kind != "proxy":
        raise UsageError("--port is where the upstream of a proxy listens", f"leave it out: this is a {record.kind}")
    text += PORT.format(port=trial.port or 0) if record.kind == "proxy" else ""
    tests = _run(text, words)
    if form == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(_Report(plugin=record, tests=tests))).decode() + "\n")
    else:
        _show(record, tests)
    return bool(tests) and all(it.outcome != "failed" for it in tests)


def _one(name: str, inventory: Inventory) -> Record:
    """Return the one plugin of this name that may be loaded."""
    rows = rows_named(name, inventory)
    usable = [row for row in rows if row.status == "available"]
    if not usable:
        row = rows[0]
        raise PluginError(row.name, f"{row.kind} {row.name} of {row.distribution}: {row.reason}", row.fix)
    if len(usable) > 1:
        full = ", ".join(f"{row.kind}/{row.name}" for row in usable)
        raise UsageError(f"{name} is more than one plugin", f"name one: {full}")
    return usable[0]


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


def _show(record: Record, tests: "Sequence[Ended]") -> None:
    click.echo(click.style(f"{record.kind} {record.name} ({record.distribution} {record.version})", bold=True))
    for part in dict.fromkeys(it.part for it in tests):
        counts = Counter(it.outcome for it in tests if it.part == part)
        said = ", ".join(f"{counts[key]} {key}" for key in ("passed", "failed", "skipped") if counts[key])
        click.echo(f"  {part:<14}{said}")
    for it in tests:
        if it.outcome != "passed":
            colour = "red" if it.outcome == "failed" else "yellow"
            click.echo(f"\n{click.style(it.outcome, fg=colour)} {it.name}\n  {it.sentence}")
            click.echo(f"  {printable(it.reason)}")
    if not tests:
        say("no test was run")
        return
    whole = Counter(it.outcome for it in tests)
    verdict = "breaks its contract" if whole["failed"] else "conforms"
    counts = ", ".join(f"{whole[key]} {key}" for key in ("passed", "failed", "skipped"))
    click.echo(f"\n{record.name} {verdict}: {counts}")
