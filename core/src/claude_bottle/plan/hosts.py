"""The rules that a bottle wants for its hosts: who may be reached, at which ports, inspected how, and why."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from claude_bottle.errors import Problem
from claude_bottle.manifest.host import HostPattern, parse_host
from claude_bottle.manifest.types import Secret
from claude_bottle.plan.spec import BottleSpec
from claude_bottle.seam.levels import DlpAction, HostRule, HostWish, Level
from claude_bottle.seam.part import Injection

__all__ = ["WEB_PORTS", "check_answer", "inject_problems", "inspect_problems", "wanted_rules", "way_problems"]

WEB_PORTS = (80, 443)


class _Source(NamedTuple):
    """One mention of a host: where it comes from, and the level that it suggests."""

    pattern: HostPattern
    level: Level | None
    why: str
    raw_port: int | None = None


def wanted_rules(spec: BottleSpec, wishes: Iterable[HostWish]) -> tuple[HostRule, ...]:
    """Return one rule a host, sorted: the plugins' own hosts, the bottle's allowlist, its SSH hosts.

    The level is the manifest's `inspect`, else the first suggestion, else `dlp_action`. A suggestion concerns
    opened TLS only; plain HTTP is scanned at the manifest's `inspect`, else at `dlp_action`.
    """
    sources = [_Source(parse_host(wish.host), wish.level, wish.why) for wish in wishes]
    sources += [_Source(parse_host(host), None, "") for host in spec.egress.allowlist]
    sources += [_Source(parse_host(entry.host), "opaque", "ssh", entry.port) for entry in spec.ssh]
    inspect: dict[str, Level] = {str(parse_host(host)): level for host, level in spec.egress.inspect.items()}
    by_name: dict[str, list[_Source]] = {}
    for source in sources:
        by_name.setdefault(_bare(source.pattern), []).append(source)
    for host in inspect:
        if host not in by_name and (cover := _covering(host, by_name)) is not None:
            by_name[host] = by_name[cover]
    return tuple(_rule(host, by_name[host], inspect, spec.egress.dlp_action) for host in sorted(by_name))


def _rule(host: str, sources: Sequence[_Source], inspect: Mapping[str, Level], dlp: DlpAction) -> HostRule:
    level, why = _level(host, sources, inspect, dlp)
    chosen = inspect[found] if (found := _covering(host, inspect)) else dlp
    ports: set[int] = set()
    for source in sources:
        if source.raw_port is not None:
            ports.add(source.raw_port)
        else:
            ports |= {source.pattern.port} if source.pattern.port is not None else set(WEB_PORTS)
    raw = {source.raw_port for source in sources if source.raw_port is not None}
    return HostRule(
        host=host,
        level=level,
        plain=dlp if chosen == "opaque" else chosen,
        why=why,
        ports=tuple(sorted(ports)),
        raw_ports=tuple(sorted(raw)),
    )


def _level(host: str, sources: Sequence[_Source], inspect: Mapping[str, Level], dlp: DlpAction) -> tuple[Level, str]:
    if (found := _covering(host, inspect)) is not None:
        return inspect[found], "manifest"
    for source in sources:
        if source.level is not None:
            return source.level, source.why
    return dlp, "dlp_action"


def _bare(pattern: HostPattern) -> str:
    return str(pattern._replace(port=None))


def _covering(host: str, patterns: Iterable[str]) -> str | None:
    """Return the pattern that speaks most closely of a host: itself, else the longest wildcard above it."""
    fitting = [pattern for pattern in patterns if pattern == host or _is_below(host, pattern)]
    return max(fitting, key=lambda pattern: (pattern == host, len(pattern)), default=None)


def _is_below(host: str, pattern: str) -> bool:
    return pattern.startswith("*.") and host.removeprefix("*.").endswith(pattern[1:])


def inspect_problems(spec: BottleSpec, rules: Iterable[HostRule], where: str) -> list[Problem]:
    """Return a problem for each key of `inspect` that would do nothing: of a port alone, or of what nothing allows."""
    allowed = {rule.host for rule in rules}
    problems: list[Problem] = []
    for host in spec.egress.inspect:
        bare = _bare(parse_host(host))
        if bare != host:
            problems.append(Problem(f"{host}: a level holds for a host at all its ports", f"write {bare}", where))
        elif host not in allowed:
            hint = "add it to egress.allowlist, or remove the line"
            problems.append(Problem(f"{host} is inspected but not allowed", hint, where))
    return problems


def inject_problems(spec: BottleSpec, proxy: str, injects: bool) -> list[Problem]:  # noqa: FBT001 - a fact, no switch
    """Return a problem for each credential that the agent would get all the same, or that the proxy cannot inject."""
    secrets = [(name, entry) for name, entry in spec.env if isinstance(entry, Secret)]
    seen = {entry.keyring or entry.secret: name for name, entry in secrets if not entry.inject}
    twice = [
        Problem(
            f"{name} is to be kept from the agent, which gets the same secret as {seen[entry.keyring or entry.secret]}",
            "inject both, or ask for each with a question of its own",
            f"bottles.{spec.bottle}.env.{name}.inject",
        )
        for name, entry in secrets
        if entry.inject and (entry.keyring or entry.secret) in seen
    ]
    return twice + [
        Problem(
            f"{name} is to be injected, which the proxy {proxy} cannot do",
            "choose a proxy that can, or remove inject, and the agent gets the secret itself",
            f"bottles.{spec.bottle}.env.{name}.inject",
        )
        for name, entry in secrets
        if entry.inject and not injects
    ]


def way_problems(spec: BottleSpec, injections: Iterable[Injection], rules: Sequence[HostRule]) -> list[Problem]:
    """Return a problem for each credential whose host is not open, or not opened: it would never get there."""
    by_host = {rule.host: rule for rule in rules}
    problems: list[Problem] = []
    for it in injections:
        where = f"bottles.{spec.bottle}.env.{it.name}.inject.host" if it.name in dict(spec.env) else ""
        found = _covering(it.host, by_host)
        place = it.host if it.port in WEB_PORTS else str(parse_host(it.host)._replace(port=it.port))
        if found is None or it.port not in by_host[found].ports:
            message = f"{it.name} is to be injected for {it.host}:{it.port}, which is not allowed"
            problems.append(Problem(message, f"add {place} to egress.allowlist", where))
        elif by_host[found].level == "opaque":
            message = f"{it.name} is to be injected for {it.host}, whose TLS is not opened ({by_host[found].why})"
            hint = f"set egress.inspect for {it.host} to block or warn"
            if not where:  # an agent's own credential, which a manifest can hand over instead
                hint += f', or let the agent see it: env: {{{it.name}: "${{{it.name}}}"}}, and set that here'
                where = f"bottles.{spec.bottle}.egress.inspect.{found}" if by_host[found].why == "manifest" else ""
            problems.append(Problem(message, hint, where))
    return problems


def check_answer(wanted: Sequence[HostRule], answered: Sequence[HostRule]) -> str | None:
    """Return what is wrong with a proxy's answer, None if it answers for every host and for no other."""
    asked, given = [rule.host for rule in wanted], [rule.host for rule in answered]
    if lost := sorted(set(asked) - set(given)):
        return f"it does not answer for {', '.join(lost)}"
    if added := sorted(set(given) - set(asked)):
        return f"it adds {', '.join(added)}"
    if len(given) != len(set(given)):
        return "it answers twice for one host"
    return None
