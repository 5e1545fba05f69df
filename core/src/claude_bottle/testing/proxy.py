"""The contract of a proxy: what it lets through, what it refuses, and what it tells of both."""

import os
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any, ClassVar

import pytest

from claude_bottle.plan.plan import Plan
from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.kinds import Kind
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.witness import own_addresses
from claude_bottle.testing.commands import host_arguments
from claude_bottle.testing.contract import Contract, load_target
from claude_bottle.testing.ground import Ground, ground_of, say
from claude_bottle.testing.keeping import KeepingContract
from claude_bottle.testing.local import TARGET
from claude_bottle.testing.upstream import ALLOWED, OTHER, WARN, Upstream
from claude_bottle.testing.ways import HIDDEN, Way, make_plan, served

__all__ = ["ProxyContract"]

MAY_LACK = frozenset({"levels"})
"""`levels`: a host of the level `warn` is opened beside hosts of the level `block`."""

PLACES = {
    "body": ["-d", "text={token}", "https://{host}/"],
    "header": ["-H", "X-Note: {token}", "https://{host}/"],
    "url": ["https://{host}/?q={token}"],
}


class ProxyContract(KeepingContract, Contract):
    """What a proxy promises; a subclass sets `name` and `target`.

    It is tried on a backend that confines nothing, as a process of this machine, or on `stage` (an entry point's
    name and target) where the proxy is run from an image. `address` and `port` are where the upstream listens: an
    address of this machine that the proxy reaches, and 443 for one that dials no other port. `lacks` are words of
    `MAY_LACK` with the reason.
    """

    kind: ClassVar[Kind] = "proxy"
    stage: ClassVar[tuple[str, str]] = ("local", TARGET)
    stage_section: ClassVar[Mapping[str, Any]] = {}
    address: ClassVar[str] = ""
    port: ClassVar[int] = 0
    lacks: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(scope="class")
    @classmethod
    def ground(cls, loaded: Loaded) -> Generator[Ground]:
        """The backend on which it is tried; both must be able to run here."""
        if reason := cls.missing():
            pytest.skip(reason)
        result = loaded.hooks.probe()
        assert result is not None, "probe returns nothing"
        if result.state != "ready":
            pytest.skip(f"{loaded.name} cannot run here: {'; '.join(it.what for it in result.findings if not it.ok)}")
        name, target = cls.stage
        backend = load_target("backend", name, target)
        runs, traits = backend.plugin.backend_traits, loaded.plugin.proxy_traits
        assert runs is not None
        assert traits is not None
        assert runs.runs in traits.runs, f"{loaded.name} does not run as {runs.runs}: set `stage`"
        with ground_of(backend, cls.stage_section) as ground:
            yield ground

    @pytest.fixture(scope="class")
    @classmethod
    def upstream(cls, ground: Ground) -> Generator[Upstream]:
        """What lies behind it, at an address of this machine that it can reach."""
        local = ground.loaded.name == "local"
        addresses = [host for _, host in own_addresses() if ":" not in host]
        with tempfile.TemporaryDirectory() as folder:
            address = cls.address or addresses[0 if local else -1]
            try:
                server = Upstream(Path(folder), address, cls.port)
            except PermissionError:
                pytest.skip(f"needs root, for an upstream at port {cls.port}")
            except OSError as error:
                pytest.fail(f"no upstream at {address}:{cls.port}: {error.strerror}", pytrace=False)
            yield server
            server.close()

    @pytest.fixture(scope="class")
    @classmethod
    def plan(cls, loaded: Loaded, ground: Ground, upstream: Upstream) -> Plan:
        """Two hosts, one of each level that is opened, behind this proxy on that backend."""
        return make_plan(loaded, ground, cls.section, upstream)

    @pytest.fixture(scope="class")
    @classmethod
    def way(cls, loaded: Loaded, ground: Ground, upstream: Upstream, plan: Plan) -> Generator[Way]:
        """The proxy as a launch starts it, beside a bottle."""
        with served(loaded, ground, upstream, plan) as way:
            yield way

    @classmethod
    def missing(cls) -> str:
        """Return what is missing here that its probe does not know, and how to get it; empty if nothing is."""
        return ""

    def test_what_it_lacks_may_be_lacking(self) -> None:
        """Nobody declares a protection away."""
        assert set(self.lacks) <= MAY_LACK

    def test_it_confines(self, loaded: Loaded) -> None:
        """It does not carry the mark of the kit's own, with which nobody starts a bottle."""
        assert loaded.plugin.proxy_traits is not None
        assert loaded.plugin.proxy_traits.confines, "it is marked as confining nothing"

    def test_it_serves_with_an_authority_of_its_own(self, way: Way) -> None:
        """`ready` gives the public part, which is a certificate, and never the key."""
        assert way.proxy.wait(0.1) is None
        if way.ca is not None:
            assert ssl.PEM_cert_to_DER_cert(way.ca.decode())
            assert b"PRIVATE KEY" not in way.ca

    def test_an_allowed_host_is_reached(self, way: Way) -> None:
        """Through TLS that the proxy opens and verifies; the upstream gets the request, and the record has it."""
        mark = token_hex(8)
        assert way.curl(f"https://{ALLOWED}/{mark}") == ("200", f"hello from {ALLOWED}\n")
        assert way.upstream.got(mark)
        assert way.told(lambda event: event.host == ALLOWED and event.verdict == "allow" and mark in event.path)

    def test_another_host_is_refused_and_said(self, way: Way) -> None:
        """403 before anything is dialled; the record says which host, why, and what would allow it."""
        before = len(way.upstream.seen)
        status, said = way.curl(f"https://{OTHER}/")
        assert status != "200"
        assert "403" in said
        assert len(way.upstream.seen) == before
        [*_, event] = way.told(lambda event: event.host == OTHER and event.verdict == "deny")
        assert event.reason
        assert OTHER in event.fix

    @pytest.mark.parametrize("host", ["169.254.169.254", "127.0.0.1", "localhost", "[::1]"])
    def test_this_machine_and_the_cloud_s_metadata_are_refused(self, way: Way, host: str) -> None:
        """Literal addresses are hosts like any other, which nobody allowed."""
        assert "403" in "".join(way.curl(f"https://{host}/", "--noproxy", ""))

    def test_the_upstream_s_own_address_is_refused(self, way: Way) -> None:
        """A name is allowed, not what it resolves to."""
        place = dict(way.plan.egress.upstream.hosts)[ALLOWED]
        before = len(way.upstream.seen)
        assert "403" in "".join(way.curl("-k", f"https://{place}/", "--noproxy", ""))
        assert len(way.upstream.seen) == before

    @pytest.mark.parametrize("place", PLACES)
    def test_a_credential_does_not_leave(self, way: Way, place: str) -> None:
        """A GitHub-shaped token is answered 403 and does not arrive; the same request without it does (the control)."""
        for value, status in ((f"ghp_{token_hex(18)}", "403"), (f"plain-{token_hex(4)}", "200")):
            words = [word.format(token=value, host=ALLOWED) for word in PLACES[place]]
            assert way.curl(*words)[0] == status
            assert way.upstream.got(value) == (status == "200")
            assert (value in repr(way.events)) <= (status == "200"), "the record holds the token"

    def test_a_credential_leaves_under_warn_and_is_on_record(self, way: Way) -> None:
        """`warn` forwards the same request and records it, without the token."""
        if reason := self.lacks.get("levels"):
            pytest.skip(reason)
        value = f"ghp_{token_hex(18)}"
        assert way.curl("-d", value, f"https://{WARN}/")[0] == "200"
        assert way.upstream.got(value)
        assert way.told(lambda event: event.host == WARN and event.verdict == "warn")
        assert value not in repr(way.events)

    def test_other_rules_hold_at_once(self, loaded: Loaded, ground: Ground, way: Way, upstream: Upstream) -> None:
        """`reload` opens a host and closes it again while the proxy runs, or says that it cannot."""
        more = make_plan(loaded, ground, self.section, upstream, OTHER).egress.rules
        if not way.proxy.reload(more):
            pytest.skip("it needs a restart for that, and says so")
        assert _soon(lambda: way.curl(f"https://{OTHER}/")[0] == "200")
        assert way.proxy.reload(way.plan.egress.rules)
        assert _soon(lambda: way.curl(f"https://{OTHER}/")[0] != "200")
        assert way.curl(f"https://{ALLOWED}/")[0] == "200"

    def test_a_secret_of_the_bottle_is_in_no_argument(self, way: Way) -> None:
        """What the plan does not print nobody on this machine may read; the control finds it inside."""
        secret = HIDDEN["KIT_SECRET"]
        assert way.bottle.exec('printf %s "$KIT_SECRET"').stdout.decode() == secret
        assert secret.encode() not in host_arguments()

    def test_its_death_is_told_and_lets_nobody_out(
        self, loaded: Loaded, ground: Ground, plan: Plan, upstream: Upstream
    ) -> None:
        """Fail closed: what it ran as is gone, `wait` returns, the events end, and no request passes."""
        with served(loaded, ground, upstream, plan) as held:
            assert held.curl(f"https://{ALLOWED}/")[0] == "200"
            for sidecar in held.sidecars:
                sidecar.stop()
            assert held.proxy.wait(10) is not None
            before = len(upstream.seen)
            assert held.curl(f"https://{ALLOWED}/")[0] != "200"
            assert len(upstream.seen) == before

    def test_a_site_that_cannot_run_it_leaves_nothing(self, loaded: Loaded, ground: Ground, plan: Plan) -> None:
        """What `run` raises passes, and no process of the plugin's own is left."""
        before = _children()
        site = ground.hooks.open_site(plan=plan, launch=Launch(label=token_hex(4), owner=Owner.current()), say=say)
        assert site is not None

        def refuses(spec: object) -> None:
            del spec
            raise ZeroDivisionError

        with closing(site), pytest.MonkeyPatch.context() as patch:
            patch.setattr(site, "run", refuses)
            with pytest.raises(ZeroDivisionError):
                loaded.hooks.start_proxy(plan=plan, site=site, secrets=Secrets({}), warm=None)
        assert _children() <= before

    def test_a_stop_comes_twice_and_nothing_is_let_out_after_it(
        self, loaded: Loaded, ground: Ground, plan: Plan, upstream: Upstream
    ) -> None:
        """`stop` is called by whoever is on the way out; then no request passes, and `wait` says how it ended."""
        with served(loaded, ground, upstream, plan) as held:
            assert held.curl(f"https://{ALLOWED}/")[0] == "200"
            held.proxy.stop()
            held.proxy.stop()
            assert held.proxy.wait(10) is not None
            assert held.curl(f"https://{ALLOWED}/")[0] != "200"


def _soon(holds: Callable[[], bool]) -> bool:
    """Say whether something holds within five seconds."""
    end = time.monotonic() + 5
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def _children() -> set[str]:
    """Return the processes that this one has begun and that still run."""
    done = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, check=False)
    return {line for line in done.stdout.decode().splitlines() if " ps -o" not in line}
