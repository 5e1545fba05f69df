"""The sidecar as it is described to a site, from a plan."""

from bottle_pipelock.authority import make_authority, make_receipt_key
from bottle_pipelock.config import Settings, make_config
from bottle_pipelock.program import find_program
from bottle_pipelock.proxy import PipelockProxy
from bottle_pipelock.render import CONFIG, render
from bottle_pipelock.section import PipelockSection, bytes_of
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.sidecar import File, SidecarSpec, Site
from claude_bottle.seam.trust import read_bundle

__all__ = ["make_settings", "start"]

IN_IMAGE = "/pipelock"
CERTIFICATE, KEY = "ca.pem", "ca-key.pem"
BUNDLE = "upstream-bundle.pem"


def start(plan: Plan, site: Site) -> PipelockProxy:
    """Make the bottle's authority, and describe the sidecar to the site; nothing is waited for."""
    settings, section = make_settings(plan, site), plan.section(PipelockSection)
    memory = bytes_of(section.memory)
    authority = make_authority(plan.slug)
    program = IN_IMAGE if site.runs == "image" else find_program()
    health = (program, "healthcheck", "--addr", f"127.0.0.1:{settings.port}")
    spec = SidecarSpec(
        argv=(program, "run", "--config", f"{site.root}/{CONFIG}"),
        image=section.image,
        files=(
            File(CONFIG, render(make_config(settings))),
            File(CERTIFICATE, authority.certificate),
            File(KEY, authority.key),
            File(settings.signing_key, make_receipt_key()),
            File(BUNDLE, read_bundle(plan.egress.upstream.ca)),
        ),
        env={
            # Go reads the folder of the image's own store beside this file, so an empty one takes nothing away.
            "SSL_CERT_FILE": f"{site.root}/{BUNDLE}",
            # It collects its garbage in earnest before the kernel ends it: what it scans makes a lot of it.
            "GOMEMLIMIT": str(memory * 9 // 10),
        },
        ready=health,
        folders=(settings.evidence,),
        hosts=tuple((name, place.rpartition(":")[0].strip("[]")) for name, place in plan.egress.upstream.hosts),
        memory=memory,
        way="tcp",
    )
    return PipelockProxy(site.run(spec), settings, plan.bottle, authority.certificate, health)


def make_settings(plan: Plan, site: Site) -> Settings:
    """Return what the plan says about egress, and where the site puts it, as the configuration's own data."""
    egress = plan.egress
    return Settings(
        name=plan.slug,
        root=site.root,
        port=site.listen.port,
        rules=egress.rules,
        dlp_action=egress.dlp_action,
        private_addresses=egress.private_addresses,
        certificate=CERTIFICATE,
        key=KEY,
    )
