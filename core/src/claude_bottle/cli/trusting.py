"""Trust in a third party's distribution: what is shown of it, the question, and the note in the user's lock."""

import os
from collections.abc import Sequence
from importlib import metadata

import click
from msgspec.structs import replace

from claude_bottle.cli.diagnosing import matching, rows_named
from claude_bottle.cli.errors import say
from claude_bottle.cli.installed import installed
from claude_bottle.cli.surroundings import stdin_is_terminal
from claude_bottle.errors import BottleError, NotFoundError, PluginError
from claude_bottle.launch.sources import Request
from claude_bottle.plugins.inventory import Inventory, read_inventory
from claude_bottle.plugins.record import Record
from claude_bottle.plugins.select import BACKEND_VARIABLE, PROXY_VARIABLE
from claude_bottle.plugins.source import installed_files, read_source
from claude_bottle.plugins.trust import Locked, Rules, fingerprint, normalise, open_lock
from claude_bottle.seam.folders import config_dir
from claude_bottle.seam.kinds import Kind

__all__ = ["forget_trust", "offer_trust", "trust_plugin"]

SHOWN = 30
"""Files that are listed by name."""


def offer_trust(request: Request) -> None:
    """Ask about what the user selects here and now for the first time; what a file says is asked about nowhere."""
    wished: tuple[tuple[Kind, str | None], ...] = (
        ("backend", request.backend or os.environ.get(BACKEND_VARIABLE)),
        ("proxy", request.proxy or os.environ.get(PROXY_VARIABLE)),
    )
    if not any(name for _, name in wished):
        return
    inventory = installed()
    for kind, name in wished:
        rows = inventory.named(kind, name or "")
        if len(rows) == 1 and rows[0].status == "untrusted":
            _settle(rows[0], inventory, yes=False)


def trust_plugin(name: str, *, yes: bool) -> bool:
    """Settle the trust in a plugin or a distribution by its name; False for a no."""
    inventory = installed()
    rows = rows_named(name, inventory)
    untrusted = [row for row in rows if row.status == "untrusted"]
    if untrusted:
        owners = sorted({row.distribution for row in untrusted})
        if len(owners) > 1:
            raise NotFoundError(f"several distributions have {name}", f"name one: {', '.join(owners)}")
        return _settle(untrusted[0], inventory, yes=yes)
    bad = [row for row in rows if row.status != "available"]
    if bad:
        raise PluginError(name, f"{bad[0].kind} {bad[0].name} of {bad[0].distribution}: {bad[0].reason}", bad[0].fix)
    say(f"{rows[0].distribution} {rows[0].version} is trusted already, by {rows[0].trusted_by}")
    return True


def _settle(row: Record, inventory: Inventory, *, yes: bool) -> bool:
    """Show a distribution and, on a yes, note it in the lock as it stands. Nothing of it is imported."""
    found = metadata.distribution(row.distribution)
    seen = Locked(version=row.version, sha256=fingerprint(found))
    say(f"{row.distribution} {row.version} is not trusted: {row.reason}")
    for line in _describe(row, inventory, installed_files(found), seen):
        say(f"  {line}")
    say("  a plugin that is loaded runs with your rights; pip has run its code already if it came as source")
    if not yes and not stdin_is_terminal():
        raise BottleError("there is no terminal to ask on", "add --yes once you have looked at it")
    if not yes and not click.confirm(f"trust {row.distribution} {row.version}?", default=False, err=True):
        return False
    open_lock(config_dir()).change(
        lambda lock: replace(lock, distributions={**lock.distributions, row.distribution: seen})
    )
    say(f"trusted {row.distribution} {row.version}: another version, or other files, will be asked about again")
    return True


def forget_trust(name: str) -> None:
    """Take a distribution out of the lock; NotFoundError if it is not in it."""
    store = open_lock(config_dir())
    rows = matching(name, read_inventory(Rules()))
    gone = {normalise(name), *(row.distribution for row in rows)}
    kept = {owner: locked for owner, locked in store.read().distributions.items() if owner not in gone}
    if len(kept) == len(store.read().distributions):
        raise NotFoundError(f"{name} is not in {store.file}", "bottle plugins list shows who is trusted")
    store.change(lambda lock: replace(lock, distributions=kept))
    say(f"{name} is not trusted any more")


def _describe(row: Record, inventory: Inventory, files: Sequence[str], seen: Locked) -> list[str]:
    rows = [it for it in inventory.records if it.distribution == row.distribution]
    lines = [f"from {row.location} ({row.origin})"]
    for it in rows:
        lines.append(f"{it.kind} {it.name}: {it.target}")
        hooks = ", ".join(read_source(it.target).hooks()) or "none are marked in its source"
        lines.append(f"  hooks: {hooks}")
    lines += [f"needs {it}" for it in metadata.distribution(row.distribution).requires or ()]
    what = f"{len(files)} files, RECORD" if files else "no RECORD, metadata"
    lines.append(f"{what} {seen.sha256[:16]}…")
    lines += [f"  {file}" for file in files[:SHOWN]]
    if len(files) > SHOWN:
        lines.append(f"  and {len(files) - SHOWN} more")
    if row.origin == "editable":
        lines.append("it is editable: its files can change without being asked about again")
    return lines
