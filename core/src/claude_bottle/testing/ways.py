"""A proxy that serves a bottle, started as a launch starts it."""

import os
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from secrets import token_hex
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import pytest

from claude_bottle.errors import BottleError
from claude_bottle.manifest.types import Egress
from claude_bottle.plan.environment import EnvNames
from claude_bottle.plan.hosts import wanted_rules
from claude_bottle.plan.plan import Plan, assemble_plan
from claude_bottle.plan.spec import BottleSpec, Choice, Draft
from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.event import Event
from claude_bottle.seam.levels import HostWish
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.part import Injection
from claude_bottle.seam.proxy import Proxy
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import Sidecar, SidecarSpec
from claude_bottle.seam.tree import FileEntry
from claude_bottle.testing.contract import make_spec, resolve
from claude_bottle.testing.ground import Ground, say
from claude_bottle.testing.upstream import ALLOWED, WARN, Upstream

__all__ = ["HIDDEN", "Way", "make_plan", "served"]

READY = 60.0
"""Seconds that a proxy may take until it serves."""


HIDDEN = {"KIT_SECRET": "hidden-9c41"}
"""A secret of the bottle's environment, which no proxy has a reason to show."""


class Way(NamedTuple):
    """A proxy that serves a bottle, what it runs as, and what it has told so far."""

    proxy: Proxy
    bottle: Bottle
    plan: Plan
    upstream: Upstream
    events: list[Event]
    listener: threading.Thread
    ca: bytes | None
    sidecars: list[Sidecar]

    def curl(self, *words: str) -> tuple[str, str]:
        """Send a request from inside; return the answer's status and its body. What curl says is in the body."""
        words = (*words, "--connect-timeout", "5", "--max-time", "20", "-sS", "-w", "\n%{http_code}")
        if self.ca is not None:
            words = ("--cacert", self.ca_file, *words)
        done = self.bottle.exec("", argv=["curl", *words], timeout=40)
        body, _, status = done.stdout.decode("utf-8", "replace").rpartition("\n")
        return status, body + done.stderr.decode("utf-8", "replace")

    @property
    def ca_file(self) -> str:
        """Where the authority lies inside."""
        return self.bottle.exec('printf %s "$HOME/kit-authority.pem"').stdout.decode()

    def told(self, holds: Callable[[Event], bool]) -> list[Event]:
        """Return the events for which something holds, once there are some; none at their end, or after ten seconds."""
        end = time.monotonic() + 10
        while True:
            over = not self.listener.is_alive() or time.monotonic() > end
            if (found := [it for it in self.events if holds(it)]) or over:
                return found
            time.sleep(0.05)


@contextmanager
def served(
    loaded: Loaded, ground: Ground, upstream: Upstream, plan: Plan, kept: Mapping[str, str] = MappingProxyType({})
) -> Generator[Way]:
    """Start a proxy and a bottle as a launch does, and take both down; `kept` are the credentials to inject."""
    site = ground.hooks.open_site(plan=plan, launch=Launch(label=token_hex(4), owner=Owner.current()), say=say)
    assert site is not None
    sidecars: list[Sidecar] = []
    run, proxy = site.run, None

    def noted(spec: SidecarSpec) -> Sidecar:
        sidecars.append(run(spec))
        return sidecars[-1]

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(site, "run", noted)
            proxy = loaded.hooks.start_proxy(plan=plan, site=site, secrets=Secrets({**HIDDEN, **kept}), warm=None)
        assert proxy is not None, "start_proxy returns nothing"
        site.settle()
        bottle = ground.hooks.start_bottle(plan=plan, site=site, env=dict(proxy.env), secrets=Secrets(HIDDEN))
        assert bottle is not None
        ca, events = _serves(proxy, f"{loaded.name} on {ground.loaded.name}"), list[Event]()
        listener = threading.Thread(target=_listen, args=(proxy, events), daemon=True)
        way = Way(proxy, bottle, plan, upstream, events, listener, ca, sidecars)
        if bottle.exec("command -v curl").returncode:
            pytest.skip("needs curl in the bottle")
        if way.ca is not None:
            bottle.put([FileEntry("kit-authority.pem", way.ca)], way.ca_file.rpartition("/")[0])
        listener.start()
        yield way
        proxy.stop()
        listener.join(10)
        assert not listener.is_alive(), "events() goes on after stop()"
    finally:
        if proxy is not None:
            proxy.stop()
        site.close()


def make_plan(
    loaded: Loaded,
    ground: Ground,
    section: Mapping[str, Any],
    upstream: Upstream,
    *more: str,
    injected: tuple[Injection, ...] = (),
) -> Plan:
    """Return the plan of a shell behind a proxy, as core makes it of the parts of both plugins."""
    spec: BottleSpec = msgspec.structs.replace(
        make_spec(loaded, section, f"proxy-{os.getpid()}"),
        backend=Choice(ground.loaded.name, "flag"),
        egress=Egress(
            allowlist=(ALLOWED, WARN, *more),
            inspect={WARN: "warn"},
            private_addresses=(f"{upstream.address}/32",),
        ),
        upstream=upstream.behind,
    )
    typed = msgspec.convert(ground.section, ground.loaded.plugin.section)
    spec = msgspec.structs.replace(spec, sections=(*spec.sections, (ground.loaded.name, typed)))
    wanted = wanted_rules(spec, [HostWish(host=host) for host in (ALLOWED, *more)])
    parts = [(it.name, resolve(it, spec, Draft(wanted=wanted))) for it in (ground.loaded, loaded)]
    rules = parts[-1][1].rules
    assert rules is not None, "resolve_plan of a proxy answers with rules"
    return assemble_plan(spec, Draft(parts=tuple(parts)), rules, EnvNames((), (), injected))


def _serves(proxy: Proxy, who: str) -> bytes | None:
    """Return its authority once it serves; a proxy that does not says why, and no traceback says it better."""
    try:
        return proxy.ready(READY)
    except BottleError as error:
        pytest.fail(f"{who}: {error}", pytrace=False)


def _listen(proxy: Proxy, events: list[Event]) -> None:
    for event in proxy.events():
        events.append(event)  # noqa: PERF402 - as they come
