"""The plugins of one launch, and how core asks them: one at a time, so that every answer has an owner."""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from claude_bottle.errors import BottleError, PluginError, Problem
from claude_bottle.plan.spec import Upstream
from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.probe import Finding

__all__ = ["Team", "ask", "ask_maybe", "loopback_problems", "machine_problems", "pair_faults", "pairing_problems"]

T = TypeVar("T")


class Team(NamedTuple):
    """One agent, its provisioners, one backend, one proxy."""

    agent: Loaded
    provisioners: tuple[Loaded, ...]
    backend: Loaded
    proxy: Loaded

    @property
    def before_proxy(self) -> tuple[Loaded, ...]:
        """All that answer before the proxy does, in core's order."""
        return (self.agent, *self.provisioners, self.backend)

    @property
    def everyone(self) -> tuple[Loaded, ...]:
        """All, in core's order: agent, provisioners, backend, proxy."""
        return (*self.before_proxy, self.proxy)


def ask(loaded: Loaded, call: Callable[[], T | None]) -> T:
    """Return one plugin's answer; PluginError names it if it fails by mistake or does not answer."""
    answer = ask_maybe(loaded, call)
    if answer is None:
        raise PluginError(loaded.name, f"{_who(loaded)} does not answer")
    return answer


def ask_maybe(loaded: Loaded, call: Callable[[], T]) -> T:
    """Return one plugin's answer, which may be none; what it raises on purpose passes unchanged."""
    try:
        return call()
    except BottleError:
        raise
    except (Exception, SystemExit) as error:  # a plugin's mistake, and a plugin cannot end the program
        message = f"{_who(loaded)} failed: {type(error).__name__}: {error}"
        raise PluginError(loaded.name, message, "run again with --debug for the traceback") from error


def _who(loaded: Loaded) -> str:
    record = loaded.record
    return f"{record.kind} {record.name} ({record.distribution} {record.version})"


def pairing_problems(backend: Loaded, proxy: Loaded) -> Sequence[Problem]:
    """Return why this backend and this proxy cannot work together; empty if they can."""
    one, other = backend.plugin.backend_traits, proxy.plugin.proxy_traits
    if one is None or other is None:
        return [Problem(f"backend {backend.name} or proxy {proxy.name} declares no traits")]
    for loaded, traits in ((backend, one), (proxy, other)):
        if not traits.confines:
            who = f"{loaded.record.kind} {loaded.name}"
            return [Problem(f"{who} confines nothing: it is for the tests of other plugins")]
    pair = f"backend {backend.name} and proxy {proxy.name} do not go together"
    if one.runs not in other.runs:
        runs = " or ".join(sorted(other.runs))
        return [Problem(f"{pair}: the one runs sidecars as {one.runs}, the other is run as {runs}")]
    if not one.listen & other.listen:
        return [Problem(f"{pair}: they know no common way to listen")]
    return []


def machine_problems(plugins: Iterable[Loaded]) -> list[Problem]:
    """Return what each plugin finds missing on this machine."""
    problems: list[Problem] = []
    for loaded in plugins:
        result = ask(loaded, loaded.hooks.probe)
        found = _faults(loaded, result.findings)
        if result.state != "ready":
            who = f"{loaded.record.kind} {loaded.name}"
            problems += found or [Problem(f"{who} is {result.state} on this machine", "bottle doctor")]
    return problems


def pair_faults(backend: Loaded, proxy: Loaded) -> list[Problem]:
    """Return what is missing on this machine for these two in particular."""
    problems: list[Problem] = []
    for loaded, partner in ((backend, proxy.plugin.proxy_traits), (proxy, backend.plugin.backend_traits)):
        if partner is not None:
            hooks = loaded.hooks
            asked = ask_maybe(loaded, lambda hooks=hooks, partner=partner: hooks.probe_pair(partner=partner))
            problems += _faults(loaded, asked or ())
    return problems


def _faults(loaded: Loaded, findings: Iterable[Finding]) -> list[Problem]:
    who = f"{loaded.record.kind} {loaded.name}"
    return [Problem(f"{who}: {it.what}: {it.detail}", it.cure) for it in findings if not it.ok]


def loopback_problems(team: Team, upstream: Upstream) -> Sequence[Problem]:
    """Return what a proxy is led to on this machine's loopback, where it has a network of its own.

    It has one as a container, and where it cannot be handed a listener.
    """
    backend, proxy = team.backend.plugin.backend_traits, team.proxy.plugin.proxy_traits
    if backend is None or proxy is None or (backend.runs == "process" and "fd" in proxy.listen):
        return []
    why = f"{team.proxy.name} on {team.backend.name} has a network of its own, and that loopback is not this machine's"
    cure = "let it listen at another address of this machine, and name that"
    places = [(f"upstream.hosts: {name}: {place}", f"//{place}") for name, place in upstream.hosts]
    places += [(f"the host's upstream proxy {upstream.proxy}", upstream.proxy)] if upstream.proxy else []
    return [Problem(f"{what}: {why}", cure) for what, url in places if _is_loopback(urlsplit(url).hostname or "")]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
