"""The sidecar as it is described to a site, from a plan; its keys are made here, at the launch."""

from bottle_pipelock.authority import make_authority, make_receipt_key
from bottle_pipelock.config import CA, CA_KEY, CONFIG, EVIDENCE, RECEIPT_KEY, UPSTREAM, Settings, render_config
from bottle_pipelock.proxy import PipelockProxy
from bottle_pipelock.section import PipelockSection, bytes_of
from bottle_pipelock.trust import read_bundle
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.sidecar import File, SidecarSpec, Site

__all__ = ["make_settings", "start"]

PROGRAM = "/pipelock"


def start(plan: Plan, site: Site) -> PipelockProxy:
    """Describe the sidecar to the site; nothing is waited for."""
    section, settings, authority = plan.section(PipelockSection), make_settings(plan, site), make_authority(plan.bottle)
    ready = (PROGRAM, "healthcheck", "--addr", f"127.0.0.1:{settings.port}")
    spec = SidecarSpec(
        argv=(PROGRAM, "run", "--config", f"{site.root}/{CONFIG}"),
        image=section.image,
        files=(
            File(CONFIG, render_config(settings)),
            File(CA, authority.certificate),
            File(CA_KEY, authority.key),
            File(RECEIPT_KEY, make_receipt_key()),
            File(UPSTREAM, read_bundle(plan.egress.upstream.ca)),
        ),
        env={"SSL_CERT_FILE": f"{site.root}/{UPSTREAM}"},
        ready=ready,
        folders=(EVIDENCE,),
        hosts=tuple((name, place.rpartition(":")[0].strip("[]")) for name, place in plan.egress.upstream.hosts),
        memory=bytes_of(section.memory),
    )
    return PipelockProxy(site.run(spec), settings, authority.certificate, ready)


def make_settings(plan: Plan, site: Site) -> Settings:
    """Return what the plan says about egress, as pipelock's own data."""
    egress = plan.egress
    return Settings(
        name=plan.slug,
        port=site.listen.port,
        root=site.root,
        rules=egress.rules,
        action=egress.dlp_action,
        private_addresses=egress.private_addresses,
        certificate=CA,
        key=CA_KEY,
    )
