"""The sidecar as it is described to a site, from a plan."""

from msgspec import json

from bottle_mitmproxy.image import proxy_recipe
from bottle_mitmproxy.proxy import MitmproxyProxy
from bottle_mitmproxy.settings import BUNDLE, POLICY, Settings, render_settings
from bottle_mitmproxy.upstream import is_own, parse_proxy
from bottle_mitmproxy.warm import ARGV, ENVIRONMENT, IN_IMAGE
from claude_bottle.errors import LaunchError
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.placeholder import make_placeholder
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import File, SidecarSpec, Site, Warm
from claude_bottle.seam.trust import read_bundle

__all__ = ["make_settings", "start"]

MEMORY = 1280 << 20
"""Bytes: more than the sidecar allows itself (`sidecar.privileges.MEMORY`), to which the want of it is an error."""


def start(plan: Plan, site: Site, secrets: Secrets, warm: Warm | None) -> MitmproxyProxy:
    """Describe the process to the site; nothing is waited for."""
    settings, listen = make_settings(plan), site.listen
    placeholders = {it.name: make_placeholder(secrets[it.name]) for it in plan.injected}
    held = {name: (secrets[name], placeholder) for name, placeholder in placeholders.items()}
    stdin = json.encode(held) + b"\n" if held else b""
    files = (File(POLICY, render_settings(settings)), File(BUNDLE, read_bundle(plan.egress.upstream.ca)))
    if site.runs == "image":
        check_reach(settings)
        # The agent's name for it is no address of its own; on its networks are the agent and this machine alone.
        address = ("--listen", f"0.0.0.0:{listen.port}", "--root", site.root)
        spec = SidecarSpec(
            argv=(*IN_IMAGE, *address), image=proxy_recipe(), files=files, env=ENVIRONMENT, stdin=stdin, memory=MEMORY
        )
    else:
        address = ("--listen", f"{listen.host}:{listen.port}", "--root", site.root)
        argv = (*ARGV, *(("--fd", "3") if listen.way == "fd" else address))
        spec = SidecarSpec(argv=argv, files=files, env=ENVIRONMENT, stdin=stdin, memory=MEMORY, warm=warm)
    return MitmproxyProxy(site.run(spec), settings, placeholders)


def check_reach(settings: Settings) -> None:
    """Raise LaunchError for an upstream on this machine's own loopback: a container has one of its own."""
    places = [(f"upstream.hosts: {name}", place) for name, place in settings.upstream_hosts]
    if settings.upstream_proxy is not None:
        places.append(("the upstream proxy", settings.upstream_proxy))
    for what, place in places:
        if is_own(place):
            raise LaunchError(
                f"{what}: {place} is this machine's own loopback, which a container does not reach",
                "let it listen at an address of this machine's network, or choose a backend that runs the proxy as a "
                "process of this machine",
            )


def make_settings(plan: Plan) -> Settings:
    """Return what the plan says about egress, as the proxy's own data."""
    egress = plan.egress
    return Settings(
        name=plan.slug,
        bottle=plan.bottle,
        rules=egress.rules,
        private_addresses=egress.private_addresses,
        upstream_hosts=egress.upstream.hosts,
        upstream_proxy=parse_proxy(egress.upstream.proxy) if egress.upstream.proxy else None,
        injections=plan.injected,
    )
