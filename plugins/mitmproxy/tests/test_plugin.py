"""The hooks: what a plan becomes, what is wrong with it, and that none of it costs a launch anything."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from egress_harness import FolderSidecar, FolderSite, make_plan, rule
from egress_upstream import TestAuthority

from bottle_mitmproxy.plugin import PLUGIN, Mitmproxy
from bottle_mitmproxy.settings import BUNDLE, POLICY, Settings, SettingsError, read_settings, render_settings
from bottle_mitmproxy.start import make_settings
from claude_bottle.errors import NotFoundError
from claude_bottle.manifest.types import Egress
from claude_bottle.plan.spec import BottleSpec, Choice, Draft
from claude_bottle.plan.spec import Upstream as UpstreamPlan
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import SidecarSpec
from claude_bottle.seam.traits import Listen
from claude_bottle.seam.trust import find_bundle, read_bundle

UPSTREAM = UpstreamPlan(hosts=(("api.test", "10.0.0.1:443"),), proxy="http://proxy.test:3128")


def make_spec(upstream: UpstreamPlan | None = None, private: tuple[str, ...] = ()) -> BottleSpec:
    """Return what a manifest asks for."""
    return BottleSpec(
        agent="reviewer",
        slug="reviewer",
        bottle="dev",
        agent_plugin="shell",
        backend=Choice("folder", "test"),
        proxy=Choice("mitmproxy", "test"),
        egress=Egress(private_addresses=private),
        folder=Path("/"),
        upstream=upstream or UpstreamPlan(),
    )


def test_a_plan_becomes_data() -> None:
    """S15, S17: what the proxy is told is built as data, from the plan alone."""
    plan = make_plan([rule("api.test", "warn")], private=("10.0.0.0/8",), upstream=UPSTREAM)
    assert make_settings(plan) == Settings(
        name="reviewer",
        bottle="dev",
        rules=(rule("api.test", "warn"),),
        private_addresses=("10.0.0.0/8",),
        upstream_hosts=(("api.test", "10.0.0.1:443"),),
        upstream_proxy="proxy.test:3128",
    )


def test_data_is_rendered_apart_and_reads_back() -> None:
    """S17: JSON on disk, the same data on the other side."""
    settings = make_settings(make_plan([rule("api.test"), rule("*.x.test", "opaque", raw=(22,))], upstream=UPSTREAM))
    text = render_settings(settings)
    assert json.loads(text)["rules"][0]["host"] == "api.test"
    assert read_settings(text) == settings


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"name": 5}', b'{"name": "x", "unknown": 1}', b'{"name": "x"'])
def test_settings_that_are_not_ours_are_an_error(data: bytes) -> None:
    """N14: nothing is guessed, and an unknown key is no key."""
    with pytest.raises(SettingsError):
        read_settings(data)


def test_the_sidecar_is_described_and_its_files_are_private(tmp_path: Path, authority: TestAuthority) -> None:
    """S15: two files of mode 0600, no secret in files, arguments or environment; both ways to listen."""
    specs: list[SidecarSpec] = []

    class Site(FolderSite):
        def run(self, spec: SidecarSpec) -> FolderSidecar:
            specs.append(spec)
            return cast("FolderSidecar", None)  # nothing is run in this test

        @property
        def listen(self) -> Listen:
            return Listen("tcp" if len(specs) else "fd", "10.0.0.2", 3128)

    site = Site(tmp_path)
    plan = make_plan([rule("api.test")], upstream=UpstreamPlan(ca=(str(authority.bundle),)))
    for _ in range(2):
        Mitmproxy().start_proxy(plan, site, Secrets({"TOKEN": "hunter2"}), None)
    site.listener.close()
    by_fd, by_address = specs
    assert by_fd.argv[-2:] == ("--fd", "3")
    assert by_address.argv[-4:] == ("--listen", "10.0.0.2:3128", "--root", str(tmp_path))
    assert {file.name: file.mode for file in by_fd.files} == {POLICY: 0o600, BUNDLE: 0o600}
    assert authority.bundle.read_bytes() in next(file.data for file in by_fd.files if file.name == BUNDLE)
    assert "hunter2" not in repr(specs)
    assert set(by_fd.env) == {"PATH", "LANG"}


def test_every_level_is_possible_for_every_host() -> None:
    """The proxy answers for each host what it will really do: what was wanted."""
    wanted = (rule("a.test"), rule("b.test", "warn"), rule("c.test", "opaque"))
    part = Mitmproxy().resolve_plan(make_spec(), Draft(wanted=wanted))
    assert part.rules == wanted
    assert part.lines == ()
    chained = Mitmproxy().resolve_plan(make_spec(UPSTREAM), Draft(wanted=wanted))
    assert "decides the address" in dict(chained.lines)["upstream proxy"]


def test_a_good_manifest_has_no_problem(authority: TestAuthority) -> None:
    """The control of the tests below."""
    upstream = UpstreamPlan(ca=(str(authority.bundle),), hosts=UPSTREAM.hosts, proxy=UPSTREAM.proxy)
    assert Mitmproxy().validate(make_spec(upstream, ("10.0.0.0/8", "fd00::/8", "192.168.1.1"))) == ()


@pytest.mark.parametrize(
    ("upstream", "private", "words"),
    [
        (UpstreamPlan(), ("10.0.0.0/99",), "10.0.0.0/99"),
        (UpstreamPlan(ca=("/nowhere.pem",)), (), "/nowhere.pem"),
        (UpstreamPlan(hosts=(("api.test", "10.0.0.1"),)), (), "no port"),
        (UpstreamPlan(hosts=(("a b", "10.0.0.1:443"),)), (), "not a host name"),
        (UpstreamPlan(proxy="http://me:hunter2@proxy.test:1"), (), "password"),
        (UpstreamPlan(proxy="socks5://proxy.test:1"), (), "SOCKS5"),
        (UpstreamPlan(proxy="http://a..test:1"), (), "a..test:1"),
    ],
)
def test_what_would_fail_later_is_a_problem_before_the_question(
    upstream: UpstreamPlan, private: tuple[str, ...], words: str
) -> None:
    """S6: found in step 1, each with a hint, none with a password in it."""
    (problem,) = Mitmproxy().validate(make_spec(upstream, private))
    assert words in problem.message
    assert problem.hint
    assert "hunter2" not in str(problem)


def test_several_problems_are_found_together() -> None:
    """All in one pass."""
    upstream = UpstreamPlan(ca=("/a.pem", "/b.pem"), hosts=(("x", "y"),), proxy="ftp://x")
    assert len(Mitmproxy().validate(make_spec(upstream, ("x",)))) == 5


def test_the_probe_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`doctor`: ready here; without a bundle no certificate could be verified, and the cure is named."""
    assert Mitmproxy().probe().state == "ready"
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    result = Mitmproxy().probe()
    assert result.state == "broken"
    assert [finding.cure for finding in result.findings if not finding.ok] == [
        "install the package ca-certificates, or set SSL_CERT_FILE"
    ]


def test_the_hosts_own_authorities_are_trusted(tmp_path: Path) -> None:
    """A corporate authority that the host trusts, the proxy trusts: SSL_CERT_FILE comes first."""
    own, extra = tmp_path / "own.pem", tmp_path / "extra.pem"
    own.write_bytes(b"OWN")
    extra.write_bytes(b"EXTRA")
    assert find_bundle({"SSL_CERT_FILE": str(own)}) == own
    assert read_bundle([str(extra)], {"SSL_CERT_FILE": str(own)}) == b"OWN\nEXTRA"
    with pytest.raises(NotFoundError, match=r"gone\.pem"):
        read_bundle([str(tmp_path / "gone.pem")], {})


def test_importing_the_plugin_costs_nothing() -> None:
    """A dry run imports this: neither mitmproxy nor cryptography, asyncio, ssl or logging come with it."""
    code = (
        "import sys, claude_bottle.declare, claude_bottle.hookspecs; before = set(sys.modules)\n"
        "import bottle_mitmproxy.plugin; print('\\n'.join(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {"mitmproxy", "cryptography", "asyncio", "ssl", "logging", "subprocess", "socket"}
    assert {name.partition(".")[0] for name in loaded} & heavy == set()
    assert {name for name in loaded if name.startswith("bottle_")} == {"bottle_mitmproxy", "bottle_mitmproxy.plugin"}


def test_the_traits_are_honest() -> None:
    """A process of this machine or an image, either way of listening; it injects credentials."""
    assert PLUGIN.kind == "proxy"
    traits = PLUGIN.proxy_traits
    assert traits is not None
    assert (traits.runs, traits.listen, traits.inject) == (
        frozenset({"process", "image"}),
        frozenset({"fd", "tcp"}),
        True,
    )


def test_warming_up_makes_no_file_and_can_be_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`warm_up` begins imports while the user reads; on a no nothing is left."""
    monkeypatch.chdir(tmp_path)
    warm = Mitmproxy().warm_up(make_plan([]))
    assert Path(f"/proc/{warm.process.pid}/cwd").readlink() == Path("/")
    warm.end()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(warm.process.pid, 0)
