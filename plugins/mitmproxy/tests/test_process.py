"""The process: privileges, files, memory of keys, its end, and what happens when something in it breaks."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from egress_harness import RULES, SIDECAR_UID, TOKEN, Altered, Launch, Running, make_plan

import bottle_mitmproxy.warm
from bottle_mitmproxy.policy.requests import BODY_LIMIT
from bottle_mitmproxy.settings import BUNDLE, POLICY
from bottle_mitmproxy.sidecar.privileges import MEMORY
from bottle_mitmproxy.sidecar.report import Reporter
from bottle_mitmproxy.start import MEMORY as ROOM
from bottle_mitmproxy.warm import spawn
from claude_bottle.plan.spec import Upstream as UpstreamPlan


def status(pid: int) -> dict[str, str]:
    """Return what the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_it_serves_without_privileges(proxy: Running) -> None:
    """S11: its own uid and gid, no groups, no new privileges, no core file, not to be dumped or traced."""
    pid = proxy.process.pid
    seen = status(pid)
    uid = os.getuid() if SIDECAR_UID is None else SIDECAR_UID
    assert seen["Uid"].split() == [str(uid)] * 4
    assert uid != 0
    if SIDECAR_UID is not None:
        assert seen["Gid"].split() == [str(SIDECAR_UID)] * 4
        assert seen["Groups"] == ""
        assert seen["CapEff"] == seen["CapPrm"] == "0" * 16
    assert seen["NoNewPrivs"] == "1"
    # A process that is not dumpable has its files in /proc owned by root, so that nobody of the same uid can read them.
    assert Path(f"/proc/{pid}/environ").stat().st_uid == 0
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert re.search(rf"Max data size +{MEMORY} +{MEMORY} ", limits)


def test_it_has_room_for_large_bodies(launch: Launch) -> None:
    """A body is held a few times over and then let go; what a backend allows lies above what it allows itself."""
    proxy, size = launch(), BODY_LIMIT // 4
    for _ in range(3):
        done = proxy.curl("--data-binary", "@-", "-w", "%{http_code}", "https://api.test/", stdin=bytes(size))
        assert done.stdout.endswith(b"200"), done
    peak = int(status(proxy.process.pid)["VmHWM"].split()[0]) << 10
    assert peak < 6.3 * size < MEMORY < ROOM


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can refuse to be root: run the tests as root as well")
def test_it_refuses_to_serve_as_root(tmp_path: Path) -> None:
    """Without a uid to become, root gets no proxy."""
    (tmp_path / POLICY).write_text('{"name": "x"}')
    (tmp_path / BUNDLE).write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "bottle_mitmproxy.sidecar", "--listen", "127.0.0.1:0", "--root", str(tmp_path)],
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"error": "the proxy must not serve as root"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has groups to give up: run the tests as root as well")
def test_the_groups_of_root_are_given_up(altered: Altered) -> None:
    """S11: with a group of root's, files of that group would stay in reach."""
    running = altered("import os; os.setgroups([0, 64999])")
    assert status(running.process.pid)["Groups"] == ""


def test_the_parent_death_signal_survives_the_drop(altered: Altered) -> None:
    """N14: a backend that asked for it keeps it, though the kernel clears it when the uid changes."""
    running = altered(
        "import ctypes\n"
        "libc, drop, seen = ctypes.CDLL(None), main.drop, ctypes.c_int(0)\n"
        "libc.prctl(1, 9)\n"
        "def dropped(*args):\n"
        "    drop(*args)\n"
        "    libc.prctl(2, ctypes.byref(seen))\n"
        "    assert seen.value == 9\n"
        "main.drop = dropped\n"
    )
    assert running.process.poll() is None


def test_the_environment_of_the_host_does_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3: neither secrets nor variables that change what Python or TLS do."""
    monkeypatch.setenv("BOTTLE_TEST_SECRET", TOKEN)
    warm = spawn()
    deadline, environment = time.monotonic() + 5, ""
    while not environment and time.monotonic() < deadline:  # a spawn returns a moment before the kernel shows it
        environment = Path(f"/proc/{warm.process.pid}/environ").read_text()
    warm.end()
    assert {entry.partition("=")[0] for entry in environment.split("\0") if entry} == {"PATH", "LANG"}


def test_the_authority_is_short_lived_and_good_for_servers(proxy: Running) -> None:
    """S11: P-256, 30 days, a path of one; and its certificates pass the strictest check there is."""
    certificate = x509.load_pem_x509_certificate(proxy.ca.read_bytes())
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert timedelta(days=30) < lifetime <= timedelta(days=30, hours=2)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    context = ssl.create_default_context(cafile=str(proxy.ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with proxy.tunnel("api.test:443") as sock, context.wrap_socket(sock, server_hostname="api.test") as tls:
        assert tls.version() == "TLSv1.3"


def test_it_says_the_public_part_alone(proxy: Running) -> None:
    """S11: what comes out of the process is one certificate."""
    text = proxy.ca.read_text()
    assert text.count("BEGIN CERTIFICATE") == text.count("BEGIN") == 1


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace: apt-get install strace")
def test_no_file_is_ever_written(tmp_path: Path, upstreams: UpstreamPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """S11: from its start to its end it opens nothing for writing but /dev/null: the key is in memory alone."""
    log = tmp_path / "strace"
    program = (
        "strace",
        "-D",
        "-f",
        "-qq",
        "-o",
        str(log),
        "-e",
        "trace=openat,open,creat,rename,mkdir,link,symlink,memfd_create,unlink",
    )
    monkeypatch.setattr(
        bottle_mitmproxy.warm, "ARGV", (*program, sys.executable, "-B", "-P", "-m", "bottle_mitmproxy.sidecar")
    )
    (tmp_path / "run").mkdir()
    running = Running(tmp_path / "run", make_plan(RULES, upstream=upstreams))
    assert running.status("--http2", "https://api.test/") == 200
    assert running.status("https://one.test/") == 200
    assert running.status("-d", TOKEN, "https://api.test/") == 403
    running.site.close()
    running.close()
    calls = log.read_text().splitlines()
    assert any(POLICY in call for call in calls)
    written = [
        call
        for call in calls
        if "O_RDONLY" not in call and "/dev/null" not in call and "+++" not in call and "---" not in call
    ]
    assert [call for call in written if "O_DIRECTORY" not in call and "O_PATH" not in call] == []


def test_it_ends_when_its_launcher_is_gone(launch: Launch) -> None:
    """N14: the channel closes with the launcher, however that died."""
    running = launch(rules=RULES)
    assert running.site.sidecar
    running.site.sidecar.channel.close()
    assert running.process.wait(3) == 0


def test_it_ends_before_it_was_needed() -> None:
    """A no at the question: nothing is left of a process that only warmed up."""
    warm = spawn()
    warm.channel.close()
    assert warm.process.wait(20) == 0
    warm.end()
    warm = spawn()
    warm.end()
    assert warm.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    "message", [b"{}", b"garbage", b'{"root": 5}', b'{"root": "/nowhere/at/all", "uid": 64123, "gid": 64123}']
)
@pytest.mark.parametrize("with_socket", [True, False])
def test_a_message_that_makes_no_sense_ends_it(message: bytes, with_socket: bool) -> None:
    """N14: no defaults are made up."""
    warm = spawn()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        socket.send_fds(warm.channel, [message], [listener.fileno()] if with_socket else [])
        assert warm.process.wait(20) == 1
    assert warm.process.stdout
    assert b'{"error":' in warm.process.stdout.read()
    warm.end()


def test_sigterm_ends_it_cleanly(launch: Launch) -> None:
    """What was decided is written down before the end."""
    running = launch(rules=RULES)
    assert running.status("https://no.test/") == 403
    running.process.terminate()
    assert running.process.wait(5) == 0
    assert running.events()[-1].host == "no.test"


@pytest.mark.parametrize("way", ["signal", "channel"])
def test_what_is_under_way_is_written_down_before_the_end(launch: Launch, way: str) -> None:
    """A request that has left is in the record, though nobody saw its answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        running = launch(rules=RULES, upstream=UpstreamPlan(hosts=(("plain.test", place),)))
        with running.connection(b"GET http://plain.test/slow HTTP/1.1\r\nHost: plain.test\r\n\r\n"):
            taken, _ = silent.accept()
            with taken:
                assert taken.recv(1 << 16).startswith(b"GET /slow")
                assert running.site.sidecar
                if way == "signal":
                    running.process.terminate()
                else:
                    running.site.sidecar.channel.close()
                assert running.process.wait(10) == 0
    (event,) = running.events()
    assert (event.verdict, event.path, event.status) == ("allow", "/slow", None)
    assert "ended first" in event.reason


def test_death_leaves_no_way_out(launch: Launch) -> None:
    """N14: a proxy that is killed answers nothing; `wait` says so."""
    running = launch(rules=RULES)
    assert running.proxy.wait(0.01) is None
    running.process.kill()
    assert running.proxy.wait(5) == -signal.SIGKILL
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((running.host, running.port), timeout=2)


def test_nobody_who_does_not_read_can_stop_it() -> None:
    """Events are dropped and counted, not waited for: neither a deadlock nor endless memory."""
    reading, writing = os.pipe()
    reports = Reporter(writing, backlog=50)
    for number in range(20_000):
        reports.send({"event": number})
        time.sleep(0) if number < 5000 else None
    lines: list[dict[str, int]] = []
    with os.fdopen(reading, "rb") as pipe:
        reader = threading.Thread(target=lambda: lines.extend(map(json.loads, pipe)))
        reader.start()
        reports.close()
        os.close(writing)
        reader.join(5)
    lost = sum(line.get("lost", 0) for line in lines)
    assert lost > 10_000
    assert sum("event" in line for line in lines) + lost == 20_000


def test_it_listens_at_an_address_where_it_must(tmp_path: Path) -> None:
    """The other way, for backends that cannot hand over a descriptor."""
    (tmp_path / POLICY).write_text('{"name": "x"}')
    (tmp_path / BUNDLE).write_text("")
    tmp_path.chmod(0o755)
    for name in (POLICY, BUNDLE):
        (tmp_path / name).chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "bottle_mitmproxy.sidecar", "--listen", f"127.0.0.1:{port}", "--root", str(tmp_path)]
    if SIDECAR_UID is not None:
        argv += ["--uid", str(SIDECAR_UID), "--gid", str(SIDECAR_UID)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline())["ready"] is True
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"CONNECT a.test:443 HTTP/1.1\r\n\r\n")
            assert sock.recv(12) == b"HTTP/1.1 403"
        process.terminate()
        assert process.wait(5) == 0
