"""What the proxy is told: the plan's egress as data, and that data as the file `policy.json`."""

from msgspec import DecodeError, Struct, json

from claude_bottle.seam.levels import HostRule
from claude_bottle.seam.part import Injection

__all__ = ["BUNDLE", "POLICY", "Settings", "SettingsError", "read_settings", "render_settings"]

POLICY = "policy.json"
BUNDLE = "ca-bundle.pem"


class SettingsError(ValueError):
    """A `policy.json` that cannot be read, so nothing in it holds."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a decision depends on. Nothing in it is secret.

    `name` is the bottle's, as commands take it. `generation` counts reloads. `private_addresses` are CIDRs.
    `upstream_hosts` are a name and `ADDR:PORT`, where it is dialled instead of where it resolves to.
    `upstream_proxy` is `HOST:PORT` of an HTTP proxy through which everything goes. `injections` say where credentials
    go; these themselves come on stdin.
    """

    name: str
    bottle: str = ""
    generation: int = 0
    rules: tuple[HostRule, ...] = ()
    private_addresses: tuple[str, ...] = ()
    upstream_hosts: tuple[tuple[str, str], ...] = ()
    upstream_proxy: str | None = None
    injections: tuple[Injection, ...] = ()


def render_settings(settings: Settings) -> bytes:
    """Return the file's content, one key a line."""
    return json.format(json.encode(settings), indent=2) + b"\n"


def read_settings(data: bytes) -> Settings:
    """Return what `render_settings` wrote; SettingsError for anything else."""
    try:
        return json.decode(data, type=Settings)
    except DecodeError as error:
        raise SettingsError(str(error)) from error
