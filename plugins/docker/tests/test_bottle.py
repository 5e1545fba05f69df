"""A bottle on a real engine: how it is confined, that this is proved, and that nothing of it stays."""

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace

from bottle_docker import site as site_module
from bottle_docker.engine import Engine
from bottle_docker.execs import Command, Place, run_command
from bottle_docker.labels import LAUNCH
from bottle_docker.plugin import DockerBackend
from bottle_docker.probe import ask, found_address
from bottle_docker.section import DockerSection
from claude_bottle.errors import ClosedError, DeadlineError, ProofError
from claude_bottle.manifest.types import Egress
from claude_bottle.plan.spec import BottleSpec, Choice
from claude_bottle.seam.bottle import Dial
from claude_bottle.seam.sidecar import File

BASE = "debian:bookworm-slim"


def test_it_is_confined(start: Any) -> None:
    """K1, K2: not root, no capability, no new privilege, a filter, a read-only root, a limit on processes."""
    bottle = start(DockerSection(processes=64)).bottle
    status = dict(
        line.split(":\t", 1)
        for line in bottle.exec("cat /proc/self/status").stdout.decode().splitlines()
        if ":\t" in line
    )
    assert [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == ["0" * 16] * 5
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert bottle.exec("id -u; id -g; id -G").stdout == b"1000\n1000\n1000\n"
    assert b"Read-only file system" in bottle.exec("echo x > /usr/bin/x; echo x > /etc/x").stderr
    assert bottle.exec("touch ~/x /workspace/x /tmp/x /var/tmp/x").returncode == 0
    assert bottle.exec("ls /var/run/docker.sock /run/docker.sock").stdout == b""
    many = bottle.exec("for i in $(seq 200); do sleep 5 & done; wait", timeout=20)
    assert b"fork" in many.stderr
    deadline = time.monotonic() + 20
    while bottle.exec("echo still here").stdout != b"still here\n":
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.mark.parametrize("family", [40, 38, 17])
def test_only_families_that_a_network_confines_can_be_had(start: Any, family: int) -> None:
    """K2: AF_VSOCK reaches the hypervisor from any namespace, and the engine's own default allows it."""
    bottle = start().bottle
    script = f"perl -MSocket -e 'socket(my $s, {family}, SOCK_STREAM, 0) or die $!; print qq(had)'"
    assert bottle.exec(script).stdout == b""
    assert bottle.exec(script.replace(f"{family},", "AF_UNIX,")).stdout == b"had"


def test_its_limits_are_in_force(start: Any) -> None:
    """K1: memory and cores, as the kernel has them, in either version of its control groups."""
    bottle = start(DockerSection(memory="300m", cpus=0.5)).bottle
    one = "cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us"
    two = "cat memory.max; tr ' ' '\\n' <cpu.max"
    found = bottle.exec(f"cd /sys/fs/cgroup && if [ -e memory ]; then {one}; else {two}; fi").stdout.split()
    assert list(map(int, found)) == [300 << 20, 50_000, 100_000]


def test_a_runtime_is_the_engines_own_or_a_problem(open_site: Any) -> None:
    """`runtime:` passes through; one that it does not have is told before anything is made, with those it has."""
    spec = BottleSpec(
        agent="a",
        slug="a",
        bottle="dev",
        agent_plugin="shell",
        backend=Choice("docker", "flag"),
        proxy=Choice("stand-in", "flag"),
        egress=Egress(),
        folder=Path("/"),
        sections=(("docker", DockerSection()),),
    )
    (problem,) = DockerBackend().validate(replace(spec, runtime="unheard-of"))
    assert (problem.message, problem.where) == ("the engine has no runtime unheard-of", "bottles.dev.runtime")
    assert "runc" in str(problem.hint)
    assert DockerBackend().validate(replace(spec, runtime="runc")) == []
    opened, _, _ = open_site(slug="runtime", runtime="runc")
    container = opened.start({})._container
    assert ask(found_address(), f"/containers/{container}/json")["HostConfig"]["Runtime"] == "runc"


def test_a_root_that_can_be_written_is_asked_for(start: Any) -> None:
    """`docker.read_only: false` opens the image's own files to root inside, who owns them, and to nobody else."""
    script = "touch /etc/new && echo made"
    assert start(slug="closed").bottle.exec(script, root=True).stdout == b""
    bottle = start(DockerSection(read_only=False), slug="open").bottle
    assert bottle.exec(script).stdout == b""
    assert bottle.exec(script, root=True).stdout == b"made\n"


def test_root_inside_has_no_more_rights_and_no_secret(start: Any) -> None:
    """S20: it owns files, and that is all; what the agent can write is never read by it."""
    bottle = start(hidden={"TOKEN": "hidden-7a"}).bottle
    done = bottle.exec("id -u; echo $TOKEN; grep CapEff /proc/self/status", root=True)
    assert done.stdout == b"0\n\nCapEff:\t0000000000000000\n"
    bottle.exec("echo 'touch /etc/ssl/certs/owned' > /run/bottle/env")
    bottle.exec("true", root=True)
    assert bottle.exec("test -e /etc/ssl/certs/owned").returncode == 1


def test_isolation_is_proved(start: Any) -> None:
    """N2, N7: a bottle as it is passes, and each probe has a control: the proxy answers it."""
    launched = start()
    launched.prove()
    assert launched.bottle.look([Dial("proxy", 3128, b"x\n")], []).answers == (b"HTTP/1.1 403 Forbidden\r\n\r\n",)


def test_the_agent_is_on_an_internal_network_and_the_proxy_on_two(start: Any, engine: Engine) -> None:
    """S25: the bottle's two networks are its own: one that leads nowhere, and one on which the proxy alone is."""
    launched = start(slug="networks")
    label, agent = f"{LAUNCH}={launched.label}", launched.bottle._container
    found: dict[bool, list[str]] = {}
    for network in engine.networks(label):
        record = ask(found_address(), f"/networks/{network.id}")
        found[record["Internal"]] = sorted("agent" if it == agent else "proxy" for it in record["Containers"])
    assert found == {True: ["agent", "proxy"], False: ["proxy"]}


def plainly_internal(_: object) -> dict[str, str]:
    """Return options that make a network internal, and no more."""
    return {"com.docker.network.driver.mtu": "1500"}


def test_a_network_with_an_address_of_the_host_is_no_bottle(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """N2: an internal network alone reaches the host, and then no agent starts."""
    monkeypatch.setattr(site_module, "isolation", plainly_internal)
    launched = start()
    with pytest.raises(ProofError, match="reaches the host at") as caught:
        launched.prove()
    assert "com.docker.network.bridge.inhibit_ipv4" in str(caught.value.hint)


def test_a_forwarded_value_is_in_no_record(start: Any, engine: Engine) -> None:
    """S1, S2, S3: nor in the engine's folder, volumes and logs; one that is planted is found in each of them."""
    hidden, planted = (f"{kind}-{os.urandom(6).hex()}" for kind in ("hidden", "planted"))
    launched = start(slug="canary", hidden={"TOKEN": hidden})
    assert launched.bottle.exec("echo $TOKEN; echo $TOKEN >&2").stdout.decode().strip() == hidden
    body = {"Image": BASE, "Cmd": ["sh", "-c", "echo $PLANTED; sleep 60"], "Env": [f"PLANTED={planted}"]}
    logged = {"LogConfig": {"Type": "json-file"}, "NetworkMode": "none"}
    labels = {LAUNCH: launched.label}
    other = engine.create(f"claude-bottle-planted-{os.getpid()}", {**body, "HostConfig": logged, "Labels": labels})
    engine.start(other)
    ours = [it.id for it in engine.containers(f"{LAUNCH}={launched.label}") if it.id != other]
    assert len(ours) == 2
    for container, value, found in [(other, planted, True), *((it, hidden, False) for it in ours)]:
        command = f"echo {value if found else '$TOKEN'}"
        argv = ("sh", "-c", command)
        exec_id = engine.create_exec(container, argv, user="", stdin=False, tty=False, env={}, cwd="")
        for path in (f"/containers/{container}/json", f"/exec/{exec_id}/json"):
            assert (value in json.encode(ask(found_address(), path)).decode()) is found, path
    assert hidden not in "".join(safe(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
    folder = Path(ask(found_address(), "/info")["DockerRootDir"])
    if not os.access(folder / "containers", os.R_OK):
        pytest.skip("needs root of the engine's machine, to look into the engine's folder")
    names = {path.name.removeprefix(f"{other}-") for path in holding(planted, folder)}
    assert {"config.v2.json", "json.log"} <= names
    assert holding(hidden, folder) == []


def holding(text: str, folder: Path) -> list[Path]:
    """Return the files of an engine about containers and volumes that hold a text."""
    places = [folder / "containers", folder / "volumes"]
    done = subprocess.run(["grep", "-rlaFf", "-", *places], input=text.encode(), capture_output=True, check=False)
    return [Path(line) for line in done.stdout.decode().splitlines()]


def safe(path: Path) -> str:
    """Return a file that may be gone."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def test_nothing_that_is_written_to_stdout_is_kept_by_the_engine(start: Any, engine: Engine) -> None:
    """S2: what a proxy reports is read from its stream, and is in no log of the engine."""
    launched = start()
    assert next(launched.sidecar.lines(5)) == b"up"
    names = (launched.bottle.name, launched.bottle.name.replace("claude-bottle", "claude-bottle-stand-in"))
    for container in engine.containers(f"{LAUNCH}={launched.label}"):
        assert container.name in names
        found = ask(found_address(), f"/containers/{container.id}/json")
        assert found["HostConfig"]["LogConfig"]["Type"] == "none"


def test_the_sidecar_is_all_that_the_seam_promises(start: Any) -> None:
    """Its output from the beginning, its last words, its files, a command beside it, an end in order."""
    sidecar = start().sidecar
    assert next(sidecar.lines(5)) == b"up"
    assert sidecar.wait(0) is None
    deadline = time.monotonic() + 5
    while sidecar.last_words != "noise":  # the other stream comes when it comes
        assert time.monotonic() < deadline
    with pytest.raises(DeadlineError):
        list(sidecar.lines(0.2))
    assert sidecar.get("sub") == {"file": b"data"}
    assert sidecar.get("nothing") == {}
    sidecar.put([File("kept/new", b"1"), File("sub/file", b"other")])
    assert (sidecar.get("kept"), sidecar.get("sub")) == ({"new": b"1"}, {"file": b"other"})
    done = sidecar.exec(("sh", "-c", "id -u; stat -c %u:%a /etc/claude-bottle/kept/new; touch /x; exit 4"), 10)
    assert (done.returncode, done.stdout) == (4, b"65534\n65534:600\n")
    assert b"Read-only" in done.stderr
    sidecar.stop()
    assert list(sidecar.lines(5)) == [b"up", b"bye"]
    assert sidecar.wait(5) == 0
    sidecar.stop()


def test_the_ca_is_trusted_and_stays_so(start: Any) -> None:
    """It lies where the system keeps such, is part of the bundle, and a later run of the system's own tool keeps it."""
    launched = start()
    ca = make_ca()
    assert DockerBackend().provision_ca(launched.bottle, launched.plan, ca)
    look = "grep -c BEGIN /etc/ssl/certs/ca-certificates.crt; cat /usr/local/share/ca-certificates/claude-bottle.crt"
    count, _, own = launched.bottle.exec(look).stdout.partition(b"\n")
    assert int(count) > 50
    assert own == ca
    done = launched.bottle.exec("update-ca-certificates", root=True)
    assert done.returncode == 0, done.stderr
    last = ca.decode().splitlines()[1]
    assert launched.bottle.exec(f"grep -cF '{last}' /etc/ssl/certs/ca-certificates.crt").stdout == b"1\n"


def test_what_an_image_trusts_is_read_once(
    start: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Kept by the image's id: the next launch of it does without, one of another image does not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked: list[str] = []
    get_archive = Engine.get_archive

    def counted(self: Engine, container: str, path: str) -> Any:
        asked.append(path)
        return get_archive(self, container, path)

    monkeypatch.setattr(Engine, "get_archive", counted)
    count = "grep -c BEGIN /etc/ssl/certs/ca-certificates.crt"
    for slug in ("first", "second"):
        launched = start(slug=slug)
        assert DockerBackend().provision_ca(launched.bottle, launched.plan, make_ca())
        assert int(launched.bottle.exec(count).stdout) > 50
        assert asked == ["/etc/ssl/certs/ca-certificates.crt"]
    launched = start(DockerSection(image=BASE), slug="other")
    assert len(asked) == 2
    assert DockerBackend().provision_ca(launched.bottle, launched.plan, make_ca())
    assert launched.bottle.exec(count).stdout == b"1\n"
    assert engine.running(launched.bottle._container)


def make_ca() -> bytes:
    """Return a certificate that signs itself."""
    words = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1")
    made = subprocess.run([*words, "-subj", "/CN=test", "-keyout", "/dev/null"], capture_output=True, check=True)
    return made.stdout


def test_another_image_is_used_as_it_is(start: Any) -> None:
    """`docker.image:` with nothing made for a bottle: the agent has its home and its workspace all the same."""
    bottle = start(DockerSection(image=BASE)).bottle
    assert bottle.exec("touch ~/x /workspace/x && stat -c %u ~").stdout == b"1000\n"


def test_the_base_has_nothing_added(engine: Engine, start: Any) -> None:
    """The agent's image brings what it needs itself: its base has neither curl nor git."""
    bottle = start(DockerSection(image=BASE)).bottle
    script = "for program in curl git ssh; do command -v $program; done; true"
    assert bottle.exec(script).stdout == b""
    assert start(slug="own").bottle.exec(script).stdout.count(b"\n") == 3
    container = bottle._container
    assert run_command(Place(engine, container), Command(("true",)), feed=None, out=print, err=print) == 0


def test_a_command_whose_output_nobody_takes_is_ended(start: Any, engine: Engine) -> None:
    """`| head` does that: the engine, which has more to give, answers about the container all the same."""
    bottle = start().bottle
    taken: list[bytes] = []

    def take(data: bytes) -> None:
        taken.append(data)
        raise ClosedError("enough")

    def run() -> None:
        with pytest.raises(ClosedError):
            run_command(Place(engine, bottle._container), Command(("yes",)), feed=None, out=take, err=print)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert len(taken) == 1
    assert bottle.exec("cat /proc/[0-9]*/comm | grep -c yes").stdout == b"0\n"


def test_nothing_stays(start: Any, engine: Engine) -> None:
    """Containers, networks and volumes go, and a second end is no error."""
    launched = start()
    label = f"{LAUNCH}={launched.label}"
    assert [len(it) for it in (engine.containers(label), engine.networks(label), engine.volumes(label))] == [2, 2, 5]
    launched.bottle.stop()
    launched.bottle.stop()
    assert (engine.containers(label), engine.networks(label), engine.volumes(label)) == ([], [], [])
    assert launched.bottle.state == "stopped"


def test_looking_again_and_again_keeps_no_connection(engine: Engine) -> None:
    """Who lists for hours, as a supervisor or a test run may, has the descriptors of one look."""
    backend = DockerBackend()
    for hook in (backend.list_bottles, backend.plan_cleanup):
        hook()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        backend.list_bottles()
        backend.plan_cleanup()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
