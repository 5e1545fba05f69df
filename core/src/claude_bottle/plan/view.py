"""The plan as it is shown: one view, from which text and JSON are both made, so that they cannot drift."""

from typing import Literal

import msgspec
from msgspec import Struct

from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import Choice
from claude_bottle.seam.levels import DlpAction, HostRule, Level
from claude_bottle.seam.part import HTTPS, Mount
from claude_bottle.seam.printable import printable

__all__ = ["View", "render_json", "render_text", "view_plan"]

VIEW_VERSION = 1


class InspectView(Struct, frozen=True):
    """How one host is inspected, and who decided."""

    level: Level
    why: str


class TlsView(Struct, frozen=True):
    """`ca_fingerprint` is null until the CA exists, which is at launch."""

    enabled: bool
    ca_fingerprint: str | None = None


class UpstreamView(Struct, frozen=True):
    """What lies behind the proxy, by the user's own configuration."""

    ca: tuple[str, ...]
    hosts: dict[str, str]
    proxy: str | None


class EgressView(Struct, frozen=True):
    """Hosts sorted, each once; ports beside 80 and 443 stand in the host's text."""

    hosts: tuple[str, ...]
    dlp_action: DlpAction
    inspect: dict[str, InspectView]
    tls_interception: TlsView
    private_addresses: tuple[str, ...]
    upstream: UpstreamView | None


class InjectView(Struct, frozen=True):
    """Where the proxy puts a credential."""

    host: str
    port: int
    header: str


class EnvView(Struct, frozen=True):
    """Names alone, sorted; no value of a variable appears anywhere. `agent`: literals of the agent plugin's own."""

    literal: tuple[str, ...]
    forwarded: tuple[str, ...]
    agent: tuple[str, ...]


class MountView(Struct, frozen=True):
    """What of this machine is seen inside, and what can be done to it; `empty`: there is nothing, and stays so."""

    source: str
    target: str
    access: Literal["write", "read", "empty"]


class SshView(Struct, frozen=True):
    """One SSH destination, without its key."""

    host: str
    user: str
    port: int


WIDTH = len("tls intercept")
"""Of the fixed labels; a plugin's own may be longer, and then takes its room to the right."""


class View(Struct, frozen=True, kw_only=True):
    """The preflight. Keys may be added later, never removed.

    `injected` are variables of which the agent holds a placeholder. `secrets`: where the value of each comes from.
    """

    version: int = VIEW_VERSION
    agent: str
    bottle: str
    slug: str
    runtime: str | None
    backend: Choice
    proxy: Choice
    egress: EgressView
    env: EnvView
    skills: tuple[str, ...]
    ssh: tuple[SshView, ...]
    workspace: str | None
    prompt: str
    resources: tuple[str, ...]
    sections: dict[str, Struct]
    details: dict[str, str]
    agent_plugin: str
    command: tuple[str, ...] | None
    injected: dict[str, InjectView]
    secrets: dict[str, str]
    mounts: tuple[MountView, ...]


def view_plan(plan: Plan) -> View:
    """Return what a plan shows of itself."""
    return View(
        agent=plan.agent,
        bottle=plan.bottle,
        slug=plan.slug,
        runtime=plan.runtime,
        backend=plan.backend,
        proxy=plan.proxy,
        egress=_egress(plan),
        env=_env_view(plan),
        skills=plan.skills,
        ssh=tuple(SshView(entry.host, entry.user, entry.port) for entry in plan.ssh),
        workspace=plan.workspace.mode if plan.workspace else None,
        prompt=plan.prompt.strip().partition("\n")[0],
        resources=plan.resources,
        sections={name: section for name, section in plan.sections if section.__struct_fields__},
        details=_details(plan),
        agent_plugin=plan.agent_plugin,
        command=plan.words or None,
        injected={it.name: InjectView(it.host, it.port, it.header) for it in plan.injected},
        secrets=dict(plan.sources),
        mounts=tuple(_mount(it) for it in plan.mounts),
    )


def _env_view(plan: Plan) -> EnvView:
    """Return the manifest's variables, and beside them those that come with the agent."""
    literal = {name for name, _ in plan.literals}.difference(plan.agents_own)
    return EnvView(tuple(sorted(literal)), tuple(sorted(plan.forwarded)), tuple(sorted(plan.agents_own)))


def _mount(mount: Mount) -> MountView:
    return MountView(mount.source, mount.target, "empty" if mount.make else "write" if mount.write else "read")


def _details(plan: Plan) -> dict[str, str]:
    """Return the plugins' lines by label; those of one label stand together."""
    texts: dict[str, list[str]] = {}
    for label, text in plan.lines:
        texts.setdefault(label, []).append(text)
    return {label: "; ".join(each) for label, each in texts.items()}


def _egress(plan: Plan) -> EgressView:
    egress, upstream = plan.egress, plan.egress.upstream
    shown = upstream.ca or upstream.hosts or upstream.proxy
    return EgressView(
        hosts=tuple(sorted({text for rule in egress.rules for text in _host_texts(rule)})),
        dlp_action=egress.dlp_action,
        inspect={rule.host: InspectView(rule.level, rule.why) for rule in egress.rules},
        tls_interception=TlsView(enabled=True),
        private_addresses=egress.private_addresses,
        upstream=UpstreamView(upstream.ca, dict(upstream.hosts), upstream.proxy) if shown else None,
    )


def _host_texts(rule: HostRule) -> list[str]:
    """Return the host, once for the web's own ports and once for each other; SSH's port is on the ssh line."""
    host = f"[{rule.host}]" if ":" in rule.host else rule.host
    texts = [f"{host}:{port}" for port in rule.ports if port not in (80, 443) and port not in rule.raw_ports]
    web = {80, 443}.issubset(rule.ports) or rule.raw_ports
    return ([rule.host] if web else [f"{host}:{port}" for port in rule.ports if port in (80, 443)]) + texts


def render_json(view: View) -> str:
    """Return the view as JSON, indented, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(view), indent=2).decode() + "\n"


def render_text(view: View) -> str:
    """Return one `label : value` line a fact, with a newline at its end.

    What cannot be printed stands there as an escape, so that no text of a manifest forges a line or hides one.
    """
    lines = [(printable(label), printable(value)) for label, value in (*_facts(view), *_others(view))]
    return "".join(f"{label:<{WIDTH}} : {value}\n" for label, value in lines)


def _others(view: View) -> list[tuple[str, str]]:
    """Return the plugins' own lines: what one says of the workspace stands on that line already."""
    return [(label, text) for label, text in view.details.items() if label != "workspace"]


def _facts(view: View) -> list[tuple[str, str]]:
    bottle = f"{view.bottle}, runtime {view.runtime}" if view.runtime else view.bottle
    ssh = ", ".join(f"{entry.user}@{entry.host}:{entry.port}" for entry in view.ssh)
    facts = [
        ("agent", f"{view.agent} ({view.agent_plugin})"),
        ("bottle", bottle),
        ("backend", f"{view.backend.name} ({view.backend.why})"),
        ("proxy", f"{view.proxy.name} ({view.proxy.why})"),
        ("egress", ", ".join(view.egress.hosts) or "nothing"),
        ("tls intercept", f"{view.proxy.name} (per-bottle ephemeral CA, generated at launch)"),
        ("dlp", _dlp(view.egress)),
        ("env", _env(view)),
        ("skills", ", ".join(view.skills) or "none"),
        ("ssh", ssh or "none"),
        ("workspace", view.details.get("workspace") or view.workspace or "none"),
        ("prompt", view.prompt or "none"),
    ]
    if view.command:
        import shlex  # noqa: PLC0415 - most plans run the agent itself

        facts.append(("command", shlex.join(view.command)))
    return facts + _mounts(view.mounts) + _secrets(view) + _behind(view.egress)


def _mounts(mounts: tuple[MountView, ...]) -> list[tuple[str, str]]:
    """Name each folder that is seen inside; JSON has every mount within it too."""
    outer = [it for it in mounts if not any(it.target.startswith(f"{other.target}/") for other in mounts)]
    return [("mount", f"{it.source} at {it.target} ({it.access})") for it in outer]


def _dlp(egress: EgressView) -> str:
    others = [f"{host} {it.level} ({it.why})" for host, it in egress.inspect.items() if it.level != egress.dlp_action]
    return "; ".join([egress.dlp_action, *others])


def _env(view: View) -> str:
    forwarded = (f"{name} (forwarded)" for name in view.env.forwarded)
    own = (f"{name} ({view.agent_plugin})" for name in view.env.agent)
    parts = [*view.env.literal, *forwarded, *(f"{name} (injected)" for name in view.injected), *own]
    return ", ".join(parts) or "none"


def _secrets(view: View) -> list[tuple[str, str]]:
    """Say which secrets the agent will see, which it will not, and where each comes from."""
    lines: list[tuple[str, str]] = []
    if view.secrets:
        lines.append(("secrets", ", ".join(f"{name} ({origin})" for name, origin in view.secrets.items())))
    if seen := [name for name in view.env.forwarded if name in view.secrets]:
        lines.append(("agent sees", ", ".join(seen)))
    for name, it in view.injected.items():
        place = it.host if it.port == HTTPS else f"{it.host}:{it.port}"
        lines.append(("injected", f"{name} into {it.header} for {place}; the agent holds a placeholder"))
    return lines


def _behind(egress: EgressView) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    if egress.private_addresses:
        lines.append(("private addresses", ", ".join(egress.private_addresses)))
    if (upstream := egress.upstream) is not None:
        if upstream.hosts:
            lines.append(("upstream", ", ".join(f"{name} at {address}" for name, address in upstream.hosts.items())))
        if upstream.ca:
            lines.append(("upstream ca", ", ".join(upstream.ca)))
        if upstream.proxy:
            lines.append(("upstream proxy", f"{upstream.proxy} (it decides the address)"))
    return lines
