"""The plugin's hooks: what is answered before anything runs, and what is described to a site."""

import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from pipelock_site import make_plan, rule
from test_proxy import Scripted

from bottle_pipelock.plugin import LACKS, PLUGIN, Pipelock
from bottle_pipelock.section import IMAGE, PipelockSection, bytes_of
from claude_bottle.manifest.types import Egress, Ssh
from claude_bottle.plan.hosts import wanted_rules
from claude_bottle.plan.spec import BottleSpec, Choice, Draft, Upstream
from claude_bottle.seam.levels import HostWish
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import Address, Sidecar, SidecarSpec
from claude_bottle.seam.traits import Listen, Runs

SSH = Ssh(host="git.test", user="git", identity_file="~/.ssh/id")


def make_spec(
    egress: Egress | None = None,
    upstream: Upstream | None = None,
    section: PipelockSection | None = None,
    ssh: tuple[Ssh, ...] = (),
) -> BottleSpec:
    """Return what core asks the plugin about."""
    return BottleSpec(
        agent="Demo",
        slug="demo",
        bottle="dev",
        agent_plugin="shell",
        backend=Choice("docker", "test"),
        proxy=Choice("pipelock", "test"),
        egress=egress or Egress(allowlist=("api.test",)),
        folder=Path("/"),
        upstream=upstream or Upstream(),
        ssh=ssh,
        sections=(("pipelock", section or PipelockSection()),),
    )


class Site:
    """A site that only keeps what is described to it."""

    runs: Runs = "image"
    root = "/etc/pipelock"
    listen = Listen("tcp", "claude-bottle-pipelock-demo", 8888)

    def __init__(self) -> None:
        self.specs: list[SidecarSpec] = []
        self.sidecar = Scripted()

    def run(self, spec: SidecarSpec) -> Sidecar:
        """Keep it."""
        self.specs.append(spec)
        return self.sidecar

    def settle(self) -> None:
        """Nothing takes long here."""

    def witness(self) -> AbstractContextManager[Sequence[Address]]:
        """There is none."""
        raise NotImplementedError

    def close(self) -> None:
        """Sweep nothing."""


def described(upstream: Upstream | None = None) -> SidecarSpec:
    """Return the sidecar as it is described for one allowed host."""
    site = Site()
    Pipelock().start_proxy(make_plan([rule("api.test")], upstream=upstream), site, Secrets(), None)
    (spec,) = site.specs
    return spec


def test_importing_it_costs_nothing() -> None:
    """It is imported to list and to plan; neither cryptography nor YAML is needed for that."""
    code = "import sys, bottle_pipelock.plugin as p; print(sorted({'cryptography', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_what_it_is_and_lacks_is_declared() -> None:
    """It runs from an image or a program, listens at an address, and each limit is one sentence for the preflight."""
    traits = PLUGIN.proxy_traits
    assert traits is not None
    assert (PLUGIN.kind, traits.runs, traits.listen, traits.inject) == ("proxy", {"image", "process"}, {"tcp"}, False)
    assert traits.lacks == LACKS
    assert all(re.fullmatch(r"[^\n]+[^.\n]", sentence) for sentence in LACKS)


def test_it_is_found_by_its_entry_point() -> None:
    """The name under which a manifest selects it."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - one test asks

    (found,) = entry_points(group="claude_bottle.proxy", name="pipelock")
    assert found.load() is PLUGIN


def test_probe_needs_nothing_of_the_machine() -> None:
    """Whether the image is there is the backend's matter."""
    result = Pipelock().probe()
    assert (result.state, [finding.ok for finding in result.findings]) == ("ready", [True])


def test_every_wanted_host_is_answered_for() -> None:
    """As core's example has it: the model's host is opaque and says why, SSH is opaque, the rest is opened."""
    egress = Egress(allowlist=("api.test", "*.wild.test"), inspect={"*.wild.test": "opaque"})
    spec = make_spec(egress, ssh=(SSH,))
    wanted = wanted_rules(spec, [HostWish(host="model.test", level="warn", why="claude")])
    part = Pipelock().resolve_plan(spec, Draft(wanted=wanted))
    assert part.lines == (("proxy image", IMAGE),)
    assert {it.host: (it.level, it.why) for it in part.rules or ()} == {
        "*.wild.test": ("opaque", "manifest"),
        "api.test": ("block", "dlp_action"),
        "git.test": ("opaque", "ssh"),
        "model.test": ("opaque", "claude asks for warn; pipelock cannot for one host"),
    }
    assert Pipelock().validate(spec) == ()


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (make_spec(upstream=Upstream(proxy="http://proxy.test:3128")), "own upstream proxy"),
        (make_spec(upstream=Upstream(hosts=(("api.test", "10.0.0.5:8443"),))), "dials the port"),
        (make_spec(section=PipelockSection(memory="1k")), "pipelock.memory"),
        (make_spec(section=PipelockSection(memory="much")), "pipelock.memory"),
        (make_spec(section=PipelockSection(image="--privileged")), "pipelock.image"),
        (make_spec(section=PipelockSection(image="")), "pipelock.image"),
        (make_spec(Egress(private_addresses=("0.0.0.0/0",))), "network of everything"),
        (
            make_spec(Egress(allowlist=("a.test", "b.test"), dlp_action="warn", inspect={"a.test": "block"})),
            "a.test: block, beside dlp_action: warn",
        ),
        (
            make_spec(
                Egress(allowlist=("*.a.test", "b.a.test"), inspect={"*.a.test": "opaque", "b.a.test": "block"}),
            ),
            "b.a.test: manifest asks for block; pipelock cannot for one host below",
        ),
        (
            make_spec(
                Egress(inspect={"git.test": "block"}),
                ssh=(Ssh(host="git.test", user="git", identity_file="~/.ssh/id"),),
            ),
            "git.test: manifest asks for block; pipelock cannot for one port",
        ),
    ],
)
def test_what_it_cannot_hold_is_a_problem_before_the_launch(spec: BottleSpec, problem: str) -> None:
    """One problem each, that says what is wrong."""
    (found,) = Pipelock().validate(spec)
    assert problem in found.message


@pytest.mark.parametrize("place", ["10.0.0.5:443", "[2001:db8::5]:80"])
def test_an_upstream_at_a_usual_port_is_no_problem(place: str) -> None:
    """The name is given that address, and the port is the one that is asked for anyway."""
    upstream = Upstream(hosts=(("api.test", place),))
    assert Pipelock().validate(make_spec(upstream=upstream)) == ()
    assert described(upstream).hosts == (("api.test", place.rpartition(":")[0].strip("[]")),)


def test_an_upstream_at_an_ssh_entrys_port_is_no_problem() -> None:
    """An SSH client asks for that port, so it is the one that is dialled; of any other entry it is not."""
    entry = Ssh(host="git.test", user="git", port=2222, identity_file="~/.ssh/id")
    right, wrong = (Upstream(hosts=((name, "10.0.0.5:2222"),)) for name in ("git.test", "api.test"))
    assert Pipelock().validate(make_spec(upstream=right, ssh=(entry,))) == ()
    (found,) = Pipelock().validate(make_spec(upstream=wrong, ssh=(entry,)))
    assert "dials the port" in found.message


def test_the_sidecar_is_described_whole() -> None:
    """S22: command, pinned image, health, folder and memory; every path is below the site's root."""
    spec = described()
    assert spec.argv == ("/pipelock", "run", "--config", "/etc/pipelock/pipelock.yaml")
    assert spec.image == IMAGE == "ghcr.io/luckypipewrench/pipelock:2.3.0"
    assert spec.ready == ("/pipelock", "healthcheck", "--addr", "127.0.0.1:8888")
    assert (spec.folders, spec.memory, spec.hosts) == (("evidence",), 512 << 20, ())
    assert spec.env == {
        "SSL_CERT_FILE": "/etc/pipelock/upstream-bundle.pem",
        "GOMEMLIMIT": str((512 << 20) * 9 // 10),  # below the limit at which it is killed
    }
    assert {file.name: file.mode for file in spec.files} == dict.fromkeys(
        ("pipelock.yaml", "ca.pem", "ca-key.pem", "receipt.key", "upstream-bundle.pem"), 0o600
    )
    config = yaml.safe_load(next(file.data for file in spec.files if file.name == "pipelock.yaml"))
    assert config["fetch_proxy"]["listen"] == "0.0.0.0:8888"
    assert config["default_agent_identity"] == "demo"


def test_the_authorities_of_the_user_are_trusted_beside_the_hosts_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bundle has both."""
    (tmp_path / "host.pem").write_bytes(b"HOST")
    (tmp_path / "own.pem").write_bytes(b"OWN")
    monkeypatch.setattr("claude_bottle.seam.trust.BUNDLES", (str(tmp_path / "host.pem"),))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    files = {file.name: file.data for file in described(Upstream(ca=(str(tmp_path / "own.pem"),))).files}
    assert files["upstream-bundle.pem"].split() == [b"HOST", b"OWN"]


def test_only_the_launch_makes_the_authority_and_its_key_goes_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planning makes none; the key is in its own file alone, and what core gets is the certificate."""
    made: list[str] = []
    monkeypatch.setattr("bottle_pipelock.start.make_authority", made.append)
    spec = make_spec()
    Pipelock().validate(spec)
    Pipelock().resolve_plan(spec, Draft(wanted=wanted_rules(spec, ())))
    assert made == []
    monkeypatch.undo()
    site = Site()
    proxy = Pipelock().start_proxy(make_plan([rule("api.test")]), site, Secrets(), None)
    files = {file.name: file.data for file in site.specs[0].files}
    key = files.pop("ca-key.pem").split(b"-----")[2].strip()
    assert not [name for name, data in files.items() if key in data]
    assert key.decode() not in repr(vars(proxy))
    ca = proxy.ready(5)
    proxy.stop()
    assert ca is not None
    assert ca == files["ca.pem"]
    assert x509.load_pem_x509_certificate(ca)


@pytest.mark.parametrize(("size", "count"), [("512m", 512 << 20), ("1G", 1 << 30), ("67108864", 64 << 20)])
def test_a_size_is_read(size: str, count: int) -> None:
    """In bytes, or with a unit."""
    assert bytes_of(size) == count
