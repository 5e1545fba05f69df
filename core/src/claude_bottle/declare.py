"""What an entry point names: an implementation of hooks, its traits, and the type of its section.

`backend`, `proxy`, `agent` and `provisioner` are the one place where an author's own types are erased,
so a type checker refuses a wrong section, site or cleanup type where the plugin is declared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from msgspec import Struct

if TYPE_CHECKING:  # as in hookspecs
    from collections.abc import Callable, Mapping, Sequence

    from claude_bottle.plan.plan import Plan
    from claude_bottle.plan.spec import BottleSpec, Draft
    from claude_bottle.seam.bottle import Bottle
    from claude_bottle.seam.cleanup import CleanupPlan
    from claude_bottle.seam.kinds import Kind
    from claude_bottle.seam.owner import Launch
    from claude_bottle.seam.part import Part
    from claude_bottle.seam.probe import ProbeResult
    from claude_bottle.seam.proxy import Proxy
    from claude_bottle.seam.secrets import Secrets
    from claude_bottle.seam.sidecar import Site, Warm
    from claude_bottle.seam.traits import BackendTraits, ProxyTraits

__all__ = [
    "API",
    "KIND_HOOKS",
    "AgentHooks",
    "BackendHooks",
    "NoSection",
    "Plugin",
    "ProxyHooks",
    "agent",
    "backend",
    "provisioner",
    "proxy",
]

API = 1
"""The number of this generation of hooks; a plugin declares the one it was written for."""

ANYONE = frozenset({"validate", "resolve_plan", "provision"})
KIND_HOOKS: Mapping[Kind, frozenset[str]] = {
    "backend": ANYONE
    | {"probe", "probe_pair", "open_site", "start_bottle", "provision_ca", "list_bottles", "plan_cleanup", "cleanup"},
    "proxy": ANYONE | {"probe", "probe_pair", "warm_up", "start_proxy"},
    "provisioner": ANYONE
    | {"provision_ca", "provision_skills", "provision_ssh", "provision_git", "collect", "compare"}
    | {"plan_cleanup", "cleanup"},
    "agent": ANYONE | {"provision_prompt", "collect", "explain"},
}
"""The hooks that each kind may implement; another one in a plugin is a mistake, not an addition."""


class NoSection(Struct, frozen=True):
    """The section of a plugin that has no settings."""


class Plugin(NamedTuple):
    """One plugin, with its author's types erased."""

    kind: Kind
    impl: object
    section: type[Struct]
    backend_traits: BackendTraits | None = None
    proxy_traits: ProxyTraits | None = None
    api: int = API


SectionT = TypeVar("SectionT", bound=Struct)
SectionT_co = TypeVar("SectionT_co", bound=Struct, covariant=True)
SiteT = TypeVar("SiteT", bound="Site")
CleanupT = TypeVar("CleanupT", bound="CleanupPlan")


class BackendHooks(Protocol[SectionT_co, SiteT, CleanupT]):
    """What every backend implements; the other hooks of its kind are optional."""

    def probe(self) -> ProbeResult: ...  # noqa: D102 - documented in hookspecs.Specs
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[SectionT_co]: ...  # noqa: D102
    def open_site(self, plan: Plan, launch: Launch, say: Callable[[str], None]) -> SiteT: ...  # noqa: D102
    def start_bottle(self, plan: Plan, site: SiteT, env: Mapping[str, str], secrets: Secrets) -> Bottle: ...  # noqa: D102
    def list_bottles(self) -> Sequence[Bottle]: ...  # noqa: D102
    def plan_cleanup(self) -> CleanupT: ...  # noqa: D102
    def cleanup(self, plan: CleanupT) -> None: ...  # noqa: D102


class ProxyHooks(Protocol[SectionT_co]):
    """What every proxy implements; the other hooks of its kind are optional."""

    def probe(self) -> ProbeResult: ...  # noqa: D102 - documented in hookspecs.Specs
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[SectionT_co]: ...  # noqa: D102
    def start_proxy(self, plan: Plan, site: Site, secrets: Secrets, warm: Warm | None) -> Proxy: ...  # noqa: D102


class AgentHooks(Protocol[SectionT_co]):
    """What every agent plugin implements; the other hooks of its kind are optional."""

    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[SectionT_co]: ...  # noqa: D102 - see hookspecs.Specs
    def provision_prompt(self, bottle: Bottle, plan: Plan) -> str | None: ...  # noqa: D102


def backend(
    impl: BackendHooks[SectionT, SiteT, CleanupT], *, section: type[SectionT], traits: BackendTraits, api: int = API
) -> Plugin:
    """Declare a backend: `bottle = "module:PLUGIN"` in the entry-point group `claude_bottle.backend`.

    ValueError for one that says it confines nothing, which only the conformance kit's own may.
    """
    if not traits.confines and not type(impl).__module__.startswith("claude_bottle.testing."):
        raise ValueError("a backend confines what runs in it")
    return Plugin("backend", impl, section, backend_traits=traits, api=api)


def proxy(impl: ProxyHooks[SectionT], *, section: type[SectionT], traits: ProxyTraits, api: int = API) -> Plugin:
    """Declare a proxy, in the entry-point group `claude_bottle.proxy`; ValueError as above."""
    if not traits.confines and not type(impl).__module__.startswith("claude_bottle.testing."):
        raise ValueError("a proxy confines what goes through it")
    return Plugin("proxy", impl, section, proxy_traits=traits, api=api)


def agent(impl: AgentHooks[SectionT], *, section: type[SectionT], api: int = API) -> Plugin:
    """Declare an agent plugin, in the entry-point group `claude_bottle.agent`."""
    return Plugin("agent", impl, section, api=api)


def provisioner(impl: object, *, section: type[Struct], api: int = API) -> Plugin:
    """Declare a provisioner, in the entry-point group `claude_bottle.provisioner`, named after its key."""
    return Plugin("provisioner", impl, section, api=api)
