"""The user's own configuration, `config.yaml`, read with the care of a manifest."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from claude_bottle.errors import ProblemsError
from claude_bottle.manifest import names
from claude_bottle.manifest.decode import decode_section
from claude_bottle.manifest.rule import Rule
from claude_bottle.manifest.types import DistributionName, EnvName, ExactHost, HostPath, OneLine, PluginName, nothing

__all__ = ["CONFIG_NAME", "SecretCommand", "Upstream", "UserConfig", "load_config"]

CONFIG_NAME = "config.yaml"

DialAddress = Annotated[str, Rule(names.dial_address)]


class Upstream(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Upstreams of the user's own; nothing here turns verification off.

    `ca`: PEM files to trust beside the host's store, relative to the configuration's folder.
    `hosts`: where the proxy dials for a name, as `ADDR:PORT`.
    """

    ca: tuple[HostPath, ...] = ()
    hosts: Mapping[ExactHost, DialAddress] = field(default_factory=nothing)


class SecretCommand(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command that prints a secret, word by word; no shell takes part."""

    command: Annotated[tuple[OneLine, ...], Meta(min_length=1)]


class UserConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user sets for all manifests.

    `block` names plugins or distributions that are never loaded, `pin` the distribution that has a plugin's name
    where several do. `secrets` are the commands that print secrets, by the variable's name.
    """

    backend: PluginName | None = None
    proxy: PluginName | None = None
    upstream: Upstream = field(default_factory=Upstream)
    secrets: Mapping[EnvName, SecretCommand] = field(default_factory=nothing)
    block: tuple[DistributionName, ...] = ()
    pin: Mapping[PluginName, DistributionName] = field(default_factory=nothing)


def load_config(config_dir: Path) -> UserConfig:
    """Return the user's configuration, the empty one where there is no file.

    ProblemsError with all that is wrong, each with file, line and key; BottleError if there is no reading it.
    """
    path = config_dir / CONFIG_NAME
    if not os.path.lexists(path):
        return UserConfig()
    from claude_bottle.manifest.document import parse_document, read_bytes  # noqa: PLC0415 - most users have none

    root, problems = parse_document(read_bytes(path), str(path))
    if root is None:
        raise ProblemsError(problems)
    config, found = decode_section(root, UserConfig)
    if problems or found or config is None:
        raise ProblemsError([*problems, *found])
    return config
