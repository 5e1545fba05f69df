"""What a launch is made from: the command line and its surroundings, manifest, configuration and plugins."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from claude_bottle.manifest.config import UserConfig, load_config
from claude_bottle.manifest.find import Found, find_manifest
from claude_bottle.manifest.load import LoadedManifest, load_manifest
from claude_bottle.plugins.inventory import Inventory, read_inventory
from claude_bottle.plugins.record import Outcome, Record
from claude_bottle.plugins.trust import read_rules

__all__ = ["Request", "Sources", "Surroundings", "read_sources"]


class Request(NamedTuple):
    """The words of `bottle start`. `secret_files` are name and path; `words` stand after `--`.

    `asks`: the launch is asked about before it begins, or would be where this is a dry run.
    """

    agent: str
    file: Path | None = None
    backend: str | None = None
    proxy: str | None = None
    workspace: bool = False
    words: tuple[str, ...] = ()
    secret_files: tuple[tuple[str, Path], ...] = ()
    asks: bool = True


def forget(_record: Record, _outcome: Outcome) -> None:
    """Keep nothing."""


class Surroundings(NamedTuple):
    """Where the command runs: all that it reads of the outside, so that it can be given another one.

    `ask` puts a question without echo, and is None where there is no terminal. `note_load` is told what the load of
    each plugin found.
    """

    environ: Mapping[str, str]
    cwd: Path
    home: Path
    config_dir: Path
    state_dir: Path
    ask: Callable[[str], str] | None = None
    note_load: Callable[[Record, Outcome], None] = forget

    def __repr__(self) -> str:
        return f"<Surroundings: {self.cwd}>"


class Sources(NamedTuple):
    """All that is read before anything is decided."""

    found: Found
    manifest: LoadedManifest
    config: UserConfig
    inventory: Inventory


def read_sources(request: Request, around: Surroundings) -> Sources:
    """Read manifest, configuration and metadata; a manifest's own mistakes are in it, not raised."""
    found = find_manifest(request.file, around.environ, around.cwd, around.config_dir)
    config = load_config(around.config_dir)
    inventory = read_inventory(read_rules(config, around.config_dir, around.environ))
    loaded = load_manifest(found.path, inventory.section_names(), around.cwd)
    blocked = loaded.manifest.plugins.block if loaded.manifest else ()
    return Sources(found, loaded, config, inventory.without(blocked, loaded.file))
