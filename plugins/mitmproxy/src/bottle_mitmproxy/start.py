"""The sidecar as it is described to a site, from a plan."""

from bottle_mitmproxy.image import proxy_recipe
from bottle_mitmproxy.proxy import MitmproxyProxy
from bottle_mitmproxy.settings import BUNDLE, POLICY, Settings, render_settings
from bottle_mitmproxy.trust import read_bundle
from bottle_mitmproxy.upstream import parse_proxy
from bottle_mitmproxy.warm import ARGV, ENVIRONMENT, IN_IMAGE
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.sidecar import File, SidecarSpec, Site, Warm

__all__ = ["make_settings", "start"]


def start(plan: Plan, site: Site, warm: Warm | None) -> MitmproxyProxy:
    """Describe the process to the site; nothing is waited for."""
    settings = make_settings(plan)
    listen = site.listen
    # In a container's own network the agent's name for it is no address of its own.
    host = "0.0.0.0" if site.runs == "image" else listen.host  # noqa: S104 - nobody but the agent is on that network
    way = ("--fd", "3") if listen.way == "fd" else ("--listen", f"{host}:{listen.port}", "--root", site.root)
    spec = SidecarSpec(
        argv=(*(IN_IMAGE if site.runs == "image" else ARGV), *way),
        image=proxy_recipe() if site.runs == "image" else None,
        files=(File(POLICY, render_settings(settings)), File(BUNDLE, read_bundle(plan.egress.upstream.ca))),
        env=ENVIRONMENT,
        warm=warm,
    )
    return MitmproxyProxy(site.run(spec), settings)


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
    )
