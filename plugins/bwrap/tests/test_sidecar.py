"""The process that runs beside a bottle: its descriptor 3, files, output and end."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bottle_bwrap.cgroup import find_parents
from bottle_bwrap.section import BwrapSection
from bottle_bwrap.site import BwrapSite
from claude_bottle.errors import BottleError, DeadlineError, LaunchError
from claude_bottle.seam.bottle import Dial
from claude_bottle.seam.sidecar import File, SidecarSpec, Warm
from claude_bottle.seam.traits import Listen

OpenSite = Callable[..., BwrapSite]

# What a proxy does with descriptor 3: takes the listener, drops root, answers, ends when it is closed.
PROXY = """
import array, json, os, socket, sys, threading
channel = socket.socket(fileno=3)
data, fds, *_ = socket.recv_fds(channel, 4096, 1)
said = json.loads(data)
os.chdir(said["root"])
text = open("policy.json").read()
if said["uid"] is not None:
    os.setgroups([]); os.setresgid(*[said["gid"]] * 3); os.setresuid(*[said["uid"]] * 3)
print("ready", text, os.getuid(), sorted(os.environ), os.getcwd() == said["root"], flush=True)
listener = socket.socket(fileno=fds[0])
def serve():
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"proxy:" + connection.recv(100))
threading.Thread(target=serve, daemon=True).start()
channel.recv(1)
"""


def proxy(**more: object) -> SidecarSpec:
    """Return the description of that proxy."""
    given: dict[str, object] = {
        "argv": (sys.executable, "-I", "-c", PROXY),
        "files": (File("policy.json", b"{}"), File("deep/file", b"x", 0o640)),
        "env": {"ONLY": "this"},
    }
    return SidecarSpec(**{**given, **more})  # pyright: ignore[reportArgumentType] - what a test changes


def test_the_listener_comes_on_descriptor_3(open_site: OpenSite) -> None:
    """The site says so, the proxy gets it with its root and uid, and the bottle's dials arrive there."""
    site = open_site()
    assert site.listen == Listen("fd", "127.0.0.1", 3128)
    assert site.runs == "process"
    sidecar = site.run(proxy())
    bottle = site.start(BwrapSection(), {})
    words = next(sidecar.lines(timeout=10)).decode().split(" ", 3)
    assert words[:2] == ["ready", "{}"]
    assert (words[2] != "0") == (os.getuid() == 0 or words[2] == str(os.getuid()))
    assert "ONLY" in words[3]
    assert "XDG_RUNTIME_DIR" not in words[3]
    assert words[3].endswith("True")
    assert bottle.look([Dial("127.0.0.1", 3128, b"hello")], []).answers == (b"proxy:hello",)


def test_its_end_leaves_no_way_out(open_site: OpenSite) -> None:
    """N14: the launcher keeps no copy of the listener, so a dead proxy refuses at once."""
    site = open_site()
    sidecar = site.run(proxy())
    bottle = site.start(BwrapSection(), {})
    next(sidecar.lines(timeout=10))
    sidecar.process.send_signal(signal.SIGKILL)
    assert sidecar.wait(5) == 137
    begin = time.monotonic()
    assert bottle.look([Dial("127.0.0.1", 3128)], []).answers == (None,)
    assert time.monotonic() - begin < 1


def test_its_files_are_its_own(open_site: OpenSite) -> None:
    """S15: mode 0600, the sidecar's uid, in a folder that nobody else can enter."""
    site = open_site()
    site.run(proxy())
    root = Path(site.root)
    owner = root.stat().st_uid
    assert (owner != 0) or os.getuid() != 0
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    found = {path.name: (path.read_bytes(), path.stat()) for path in (root / "policy.json", root / "deep/file")}
    assert {name: data for name, (data, _) in found.items()} == {"policy.json": b"{}", "file": b"x"}
    modes = {name: (stat.S_IMODE(status.st_mode), status.st_uid) for name, (_, status) in found.items()}
    assert modes == {"policy.json": (0o600, owner), "file": (0o640, owner)}


def test_a_file_is_replaced_whole(open_site: OpenSite) -> None:
    """Hot reload: whoever has the old file open keeps it, the new one appears under the same name."""
    site = open_site()
    sidecar = site.run(proxy())
    path = Path(site.root, "policy.json")
    with path.open("rb") as old:
        sidecar.put([File("policy.json", b"new")])
        assert old.read() == b"{}"
    assert path.read_bytes() == b"new"
    assert sorted(entry.name for entry in Path(site.root).iterdir()) == ["deep", "policy.json"]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", ""])
def test_a_file_cannot_leave_the_root(open_site: OpenSite, name: str) -> None:
    """A name is relative, without `..`."""
    with pytest.raises(BottleError, match="leaves the site"):
        open_site().run(proxy(files=(File(name, b""),)))


def test_a_link_in_the_root_is_not_followed(open_site: OpenSite, tmp_path: Path) -> None:
    """The folder is the proxy's: what it lays there must not make the launcher write elsewhere."""
    site = open_site()
    sidecar = site.run(proxy())
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="ascii")
    Path(site.root, "policy.json").unlink()
    Path(site.root, "policy.json").symlink_to(victim)
    Path(site.root, "link").symlink_to(tmp_path)
    sidecar.put([File("policy.json", b"new")])
    assert Path(site.root, "policy.json").read_bytes() == b"new"
    assert not Path(site.root, "policy.json").is_symlink()
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        sidecar.put([File("link/victim", b"new")])
    assert victim.read_text(encoding="ascii") == "precious"


def test_its_output_is_read_from_the_beginning(open_site: OpenSite) -> None:
    """By line, from the first one, also for a second reader, until it ends."""
    site = open_site()
    sidecar = site.run(SidecarSpec(argv=("/bin/sh", "-c", "echo one; echo two; printf three; echo error >&2; exit 4")))
    assert list(sidecar.lines(timeout=5)) == [b"one", b"two", b"three"]
    assert list(sidecar.lines(timeout=5)) == [b"one", b"two", b"three"]
    assert sidecar.wait(5) == 4


def test_silence_has_a_deadline(open_site: OpenSite) -> None:
    """DeadlineError when no line comes in time; None from `wait` while it runs."""
    sidecar = open_site().run(SidecarSpec(argv=("/bin/sh", "-c", "exec sleep 60")))
    with pytest.raises(DeadlineError):
        next(sidecar.lines(timeout=0.2))
    assert sidecar.wait(0.05) is None


def test_noise_on_stderr_holds_nobody_up(open_site: OpenSite) -> None:
    """Somebody reads it, however much it is."""
    sidecar = open_site().run(SidecarSpec(argv=("/bin/sh", "-c", "head -c 1000000 /dev/zero >&2; echo done")))
    assert list(sidecar.lines(timeout=10)) == [b"done"]


def test_stop_is_idempotent_and_final(open_site: OpenSite) -> None:
    """S23: also for one that ignores every request to end."""
    sidecar = open_site().run(SidecarSpec(argv=("/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done")))
    next(sidecar.lines(timeout=5))
    sidecar.stop()
    sidecar.stop()
    assert sidecar.wait(0) == 137


def test_a_warm_process_is_adopted(open_site: OpenSite) -> None:
    """A process that was started while the user read the preflight gets the listener as another one would."""
    site = open_site()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$@" 3<&0 </dev/null', "sh", sys.executable, "-I", "-c", PROXY],
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
        )
    sidecar = site.run(proxy(warm=Warm(process, ours)))
    bottle = site.start(BwrapSection(), {})
    assert next(sidecar.lines(timeout=10)).startswith(b"ready {}")
    assert bottle.look([Dial("127.0.0.1", 3128, b"x")], []).answers == (b"proxy:x",)
    assert sidecar.process is process


def test_a_sidecar_that_comes_too_late_is_refused(open_site: OpenSite) -> None:
    """The listener is handed out once."""
    site = open_site()
    site.start(BwrapSection(), {})
    with pytest.raises(LaunchError, match="handed out"):
        site.run(proxy())


def test_a_command_beside_it(open_site: OpenSite) -> None:
    """Its output and code come back; it has a deadline."""
    sidecar = open_site().run(proxy())
    result = sidecar.exec(["/bin/sh", "-c", "cat policy.json; exit 3"], timeout=5)
    assert (result.returncode, result.stdout) == (3, b"{}")
    with pytest.raises(DeadlineError):
        sidecar.exec(["/bin/sleep", "60"], timeout=0.1)


def test_its_memory_is_limited_where_a_control_group_can_be_made(open_site: Callable[..., BwrapSite]) -> None:
    """Its own limit, apart from the agent's, and it is in that group."""
    if "memory" not in find_parents().folders:
        pytest.skip("this machine offers us no control group: run as root, or under systemd with Delegate=yes")
    site = open_site("limited")
    sidecar = site.run(SidecarSpec(argv=("/bin/sleep", "60"), memory=64 << 20))
    [group] = [Path(it) for it in site.record.cgroups if (Path(it) / "cgroup.procs").is_file() and "memory" in it]
    limits = [group / name for name in ("memory.max", "memory.limit_in_bytes")]
    assert [int(it.read_text()) for it in limits if it.exists()] == [64 << 20]
    assert str(sidecar.process.pid) in (group / "cgroup.procs").read_text().split()
    site.close()
    assert not group.exists()
