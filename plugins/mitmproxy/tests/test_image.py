"""The image: a recipe that depends on its parts alone, pins that suffice, and a site that runs images."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import cast

import msgspec
import pytest
from egress_harness import RULES, SIDECAR_UID, TOKEN, FolderSidecar, FolderSite, Running, make_plan, rule

import bottle_mitmproxy.warm
from bottle_mitmproxy.image import PYTHON, proxy_recipe
from bottle_mitmproxy.plugin import Mitmproxy
from bottle_mitmproxy.proxy import Line
from bottle_mitmproxy.settings import BUNDLE, POLICY, render_settings
from bottle_mitmproxy.start import make_settings
from bottle_mitmproxy.warm import ARGV, ENVIRONMENT
from claude_bottle.errors import LaunchError
from claude_bottle.plan.spec import Upstream as UpstreamPlan
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import SidecarSpec
from claude_bottle.seam.traits import Listen
from claude_bottle.seam.trust import read_bundle

REQUIREMENTS = next(it.data.decode() for it in proxy_recipe().files if it.name == "requirements.txt")
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==\S+ \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+")


class ImageSite(FolderSite):
    """A site that runs images; what it is given is kept instead of run."""

    spec: SidecarSpec | None = None

    @property
    def listen(self) -> Listen:
        """Return a name that only the agent knows."""
        return Listen("tcp", "proxy", 3128)

    def run(self, spec: SidecarSpec) -> FolderSidecar:
        """Keep it."""
        self.spec = spec
        return cast("FolderSidecar", None)  # nothing is run


@pytest.fixture
def site(tmp_path: Path) -> Generator[ImageSite]:
    """Return such a site."""
    site = ImageSite(tmp_path, runs="image")
    yield site
    site.listener.close()


# the recipe


def test_the_recipe_depends_on_its_parts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One tag for one version: neither the order of a folder nor this machine's authorities are in what is hashed."""
    before, trusted, listed = proxy_recipe(), read_bundle(()), Path.iterdir

    def backwards(path: Path) -> list[Path]:
        return sorted(listed(path), reverse=True)

    own = tmp_path / "own.pem"
    own.write_bytes(b"OWN")
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    monkeypatch.setattr(Path, "iterdir", backwards)
    after = proxy_recipe()
    assert (after.name, after.containerfile, after.files) == (before.name, before.containerfile, before.files)
    assert before.authorities == trusted
    assert after.authorities == read_bundle((), {"SSL_CERT_FILE": str(own)})


def test_the_recipe_has_sources_and_pins_and_nothing_else() -> None:
    """No bytecode, and nothing of a checkout."""
    files = proxy_recipe().files
    names = [file.name for file in files]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"src/(bottle_mitmproxy|claude_bottle)/[a-z_/]+\.py", name)] == [
        "requirements.txt"
    ]
    assert {file.mode for file in files} == {0o644}  # whoever runs it must be able to read it


def test_the_containerfile_is_for_any_builder() -> None:
    """Debian is its one base; it asks for no newer builder, for no address, and for just the files that are brought."""
    recipe = proxy_recipe()
    text = recipe.containerfile
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"debian:bookworm-slim"}
    assert [word for word in ("://", "<<", "--mount", "# syntax") if word in text] == []
    brought = {file.name.partition("/")[0] for file in recipe.files} | {"authorities.pem"}
    copied = {name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for name in line.split()}
    assert copied == brought
    installs = re.findall(r"pip .*install .*", text)
    assert len(installs) == 1
    assert {"--require-hashes", "--only-binary", ":all:", "--no-deps"} <= set(installs[0].split())


# the pins


def test_every_pin_is_hashed() -> None:
    """The list is entries from end to end: no address and no option."""
    assert PIN.sub("", REQUIREMENTS) == ""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder with what the image's Python finds: the recipe's sources, and the pinned packages alone."""
    tree = tmp_path / "tree"
    for file in proxy_recipe().files:
        if file.name.startswith("src/"):
            path = tree / file.name.removeprefix("src/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
    for pin in PIN.finditer(REQUIREMENTS):
        package = distribution(pin["name"])
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            (tree / top).symlink_to(str(package.locate_file(top)))
    return tree


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the image has Python 3.11 and the pins for it")
@pytest.mark.usefixtures("https", "https1", "http")
def test_the_pins_are_all_that_the_proxy_needs(
    tree: Path, tmp_path: Path, upstreams: UpstreamPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the image leaves out is missed by nothing: opened and opaque TLS, both versions of HTTP, refusals."""
    python, env = (sys.executable, "-S", "-P"), {**ENVIRONMENT, "PYTHONPATH": str(tree)}
    left_out = subprocess.run([*python, "-c", "import flask"], env=env, capture_output=True, check=False)
    assert b"ModuleNotFoundError" in left_out.stderr  # the control: nothing else of this machine is found
    monkeypatch.setattr(bottle_mitmproxy.warm, "ARGV", (*python, "-m", "bottle_mitmproxy.sidecar"))
    monkeypatch.setattr(bottle_mitmproxy.warm, "ENVIRONMENT", env)
    running = Running(tmp_path, make_plan(RULES, upstream=upstreams))
    try:
        assert running.status("--http2", "https://api.test/") == 200
        assert running.status("https://one.test/") == 200
        assert running.status("--insecure", "https://opaque.test/") == 200
        assert running.status("http://plain.test/") == 200
        assert running.status("-d", TOKEN, "https://api.test/") == 403
        assert running.status("https://nowhere.test/") == 403
    finally:
        running.close()


# the site


def test_a_site_that_runs_images_gets_one(site: ImageSite) -> None:
    """The image's own Python, at every address of a network that only the agent is on, under the agent's port."""
    Mitmproxy().start_proxy(make_plan([rule("api.test")]), site, Secrets({"TOKEN": "hunter2"}), None)
    spec = site.spec
    assert spec is not None
    assert spec.image == proxy_recipe()
    listen = ("--listen", "0.0.0.0:3128", "--root", site.root)
    assert spec.argv == (PYTHON, "-P", "-m", "bottle_mitmproxy.sidecar", *listen)
    assert {file.name: file.mode for file in spec.files} == {POLICY: 0o600, BUNDLE: 0o600}
    assert spec.warm is None
    assert set(spec.env) == {"PATH", "LANG"}
    assert "hunter2" not in repr(spec)


@pytest.mark.parametrize(
    ("upstream", "words"),
    [
        (UpstreamPlan(hosts=(("api.test", "127.0.0.1:443"),)), "upstream.hosts: api.test: 127.0.0.1:443 is"),
        (UpstreamPlan(hosts=(("api.test", "127.8.0.1:443"),)), "127.8.0.1:443 is"),
        (UpstreamPlan(hosts=(("api.test", "[::1]:443"),)), "[::1]:443 is"),
        (UpstreamPlan(hosts=(("api.test", "0.0.0.0:443"),)), "0.0.0.0:443 is"),
        (UpstreamPlan(proxy="http://LocalHost:3128"), "the upstream proxy: localhost:3128 is"),
        (UpstreamPlan(proxy="http://127.0.0.1:3128"), "the upstream proxy: 127.0.0.1:3128 is"),
    ],
)
def test_a_container_is_not_led_to_its_own_loopback(site: ImageSite, upstream: UpstreamPlan, words: str) -> None:
    """What only this machine reaches would fail inside without a word why: nothing is run, and the cure is told."""
    with pytest.raises(LaunchError, match=re.escape(words)) as refusal:
        Mitmproxy().start_proxy(make_plan([rule("api.test")], upstream=upstream), site, Secrets(), None)
    assert "this machine's own loopback, which a container does not reach" in refusal.value.message
    assert refusal.value.hint
    assert site.spec is None


def test_other_upstreams_reach_a_container(site: ImageSite) -> None:
    """The control: an address of a network, a name, a proxy elsewhere."""
    hosts = (("a.test", "10.0.0.1:443"), ("b.test", "[fd00::1]:443"), ("c.test", "host.test:443"))
    upstream = UpstreamPlan(hosts=hosts, proxy="http://proxy.test:3128")
    Mitmproxy().start_proxy(make_plan([], upstream=upstream), site, Secrets(), None)
    assert site.spec is not None


# the first process of a container

# Who may make no namespace of processes makes one of users first, and is nobody in it: the proxy refuses to be root.
NOBODY = () if os.geteuid() == 0 else ("--map-user=65534", "--map-group=65534")
UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", *NOBODY)


@pytest.fixture
def unshare() -> Sequence[str]:
    """Return a command that runs another as the first process of a namespace."""
    if not shutil.which("unshare") or subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets us make no PID namespace")
    return UNSHARE


@contextmanager
def first_process(argv: Sequence[str], *fds: int) -> Generator[subprocess.Popen[bytes]]:
    """Run `unshare` with a command, and end it."""
    process = subprocess.Popen(argv, env=ENVIRONMENT, pass_fds=fds, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def first_pid(process: subprocess.Popen[bytes]) -> int:
    """Return the process that `unshare` runs, once that heeds SIGTERM."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for child in children.read_text().split():
            caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{child}/status").read_text(), re.MULTILINE)
            if caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
                return int(child)
        time.sleep(0.005)
    raise AssertionError("the first process of the namespace never heeded SIGTERM")


def seconds_to_end(process: subprocess.Popen[bytes]) -> float:
    """Ask the first process to end, and return how long that took."""
    pid, begin = first_pid(process), time.monotonic()
    os.kill(pid, signal.SIGTERM)
    process.wait(5)
    return time.monotonic() - begin


def test_the_first_process_of_a_container_ends_before_it_serves(unshare: Sequence[str]) -> None:
    """The kernel drops a signal that a first process has no handler for; so it has one before its slow imports."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # It waits for a message that never comes: whenever the signal arrives, nothing is served yet.
    with ours, theirs, first_process([*unshare, *ARGV, "--fd", str(theirs.fileno())], theirs.fileno()) as process:
        assert seconds_to_end(process) < 1
        assert process.returncode == 128 + signal.SIGTERM


def test_the_first_process_of_a_container_ends_in_order(unshare: Sequence[str], tmp_path: Path) -> None:
    """Once it serves, of which its stdout tells at once, it ends with code 0 in less than a second."""
    settings = make_settings(make_plan([rule("api.test")]))
    for name, data in ((POLICY, render_settings(settings)), (BUNDLE, read_bundle(()))):
        (tmp_path / name).write_bytes(data)
        os.chown(tmp_path / name, SIDECAR_UID or -1, -1)
    os.chown(tmp_path, SIDECAR_UID or -1, -1)
    whom = () if SIDECAR_UID is None else ("--uid", str(SIDECAR_UID), "--gid", str(SIDECAR_UID))
    with first_process([*unshare, *ARGV, "--listen", "127.0.0.1:0", "--root", str(tmp_path), *whom]) as process:
        assert process.stdout
        assert msgspec.json.decode(process.stdout.readline(), type=Line).ready
        assert seconds_to_end(process) < 1
        assert process.returncode == 0
