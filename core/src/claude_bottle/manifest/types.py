"""What a manifest says, as frozen data; plugins type their own sections."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from claude_bottle.manifest import names
from claude_bottle.manifest.environment import check_env
from claude_bottle.manifest.host import canonical_host, exact_host, single_host
from claude_bottle.manifest.node import Section
from claude_bottle.manifest.rule import Rule
from claude_bottle.manifest.shape import REST
from claude_bottle.seam.levels import DlpAction, Level

__all__ = [
    "AgentSection",
    "BottleSection",
    "DistributionName",
    "Egress",
    "EnvEntry",
    "EnvName",
    "ExactHost",
    "Host",
    "HostPath",
    "Inject",
    "Manifest",
    "Name",
    "OneLine",
    "PluginName",
    "Plugins",
    "Port",
    "Secret",
    "Ssh",
    "Workspace",
]

Name = Annotated[str, Rule(names.agent_name)]
PluginName = Annotated[str, Rule(names.plugin_name)]
DistributionName = Annotated[str, Rule(names.distribution_name)]
Host = Annotated[str, Rule(canonical_host)]
"""A host pattern in its one form: `api.example.com`, `*.example.org`, `[2001:db8::1]:443`."""
ExactHost = Annotated[str, Rule(exact_host)]
"""A name or an address, without wildcard and port."""
Port = Annotated[int, Meta(ge=1, le=65535)]
HostPath = Annotated[str, Rule(names.host_path)]
"""A path on the host: absolute, below `~`, or relative to the file that names it."""
OneLine = Annotated[str, Rule(names.one_line)]
EnvName = Annotated[str, Rule(names.env_name)]
SingleHost = Annotated[str, Rule(single_host)]
"""A name or an address with or without a port, no wildcard."""
HeaderName = Annotated[str, Rule(names.header_name)]
HeaderFormat = Annotated[str, Rule(names.header_format)]
KeyringEntry = Annotated[str, Rule(names.keyring_entry)]
"""`SERVICE/NAME`; a slash may stand in the name."""
Network = Annotated[str, Rule(names.private_network)]
UserName = Annotated[str, Rule(names.user_name)]
RuntimeName = Annotated[str, Rule(names.runtime_name)]
SkillName = Annotated[str, Rule(names.skill_name)]
EnvText = Annotated[str, Rule(check_env)]
"""A literal, or text with `${NAME}` of the host's environment; `parse_env` has its parts."""


def nothing() -> Mapping[Any, Any]:
    """Return the empty mapping that is a default: read-only, unlike a dict."""
    return MappingProxyType({})


class Egress(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a bottle may go, and how closely the proxy looks."""

    allowlist: tuple[Host, ...] = ()
    dlp_action: DlpAction = "block"
    inspect: Mapping[Host, Level] = field(default_factory=nothing)
    private_addresses: tuple[Network, ...] = ()


class Inject(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the proxy puts a credential that the agent never holds.

    `host` is HOST or HOST:PORT, 443 without a port. `format` is the header's whole value, `{}` the credential;
    `Basic USER:{}` is a user and a password, which go as base64.
    """

    host: SingleHost
    header: HeaderName
    format: HeaderFormat = "{}"


class Secret(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variable whose value is asked for at the terminal; `secret` is the question.

    `keyring` is where the value is instead. With `inject` the agent holds a placeholder of it.
    """

    secret: OneLine
    keyring: KeyringEntry | None = None
    inject: Inject | None = None


EnvEntry = EnvText | Secret


class Ssh(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A host that the agent may reach by SSH, and the host's key that it may use but not read."""

    host: ExactHost
    user: UserName
    port: Port = 22
    identity_file: HostPath


class Workspace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the repository of the current folder comes to `/workspace`."""

    mode: Literal["copy", "bind"] = "copy"


class BottleSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One environment. `sections` are those named after installed plugins, for these to type."""

    backend: PluginName | None = None
    proxy: PluginName | None = None
    runtime: RuntimeName | None = None
    egress: Egress = field(default_factory=Egress)
    env: Mapping[EnvName, EnvEntry] = field(default_factory=nothing)
    ssh: tuple[Ssh, ...] = ()
    workspace: Workspace | None = None
    sections: Annotated[Mapping[str, Section], REST] = field(default_factory=nothing)


class AgentSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who runs in which bottle. `agent` names the plugin that knows the program."""

    bottle: Name
    agent: PluginName = "claude"
    prompt: Annotated[str, Rule(names.paragraphs)] = ""
    skills: tuple[SkillName, ...] = ()


class Plugins(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Plugins or distributions that may not take part, and that must be there. A manifest trusts none."""

    block: tuple[DistributionName, ...] = ()
    require: tuple[DistributionName, ...] = ()


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole `bottle.yaml`. After problems an agent may name a bottle that is not there."""

    version: Literal[1]
    bottles: Mapping[Name, BottleSection]
    agents: Mapping[Name, AgentSection]
    plugins: Plugins = field(default_factory=Plugins)
