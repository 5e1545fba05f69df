"""What a hostile agent tries. Each probe is also run in a bottle without the protection, where it succeeds."""

import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bottle_bwrap.bottle import BwrapBottle
from claude_bottle.seam.bottle import Dial
from claude_bottle.seam.witness import open_witness, own_addresses

Weakened = Callable[..., AbstractContextManager[BwrapBottle]]

# Numbers of x86_64 and aarch64, for calls that libc has no function for.
CALL = """
import ctypes, os, platform, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(x86, arm, *args):
    number = x86 if platform.machine() == "x86_64" else arm
    return "done" if libc.syscall(number, *args) >= 0 else os.strerror(ctypes.get_errno())
"""


def run_python(bottle: BwrapBottle, python: str, source: str) -> str:
    """Run a probe in Python inside and return what it printed, errors too."""
    result = bottle.exec("", argv=[python, "-I", "-S", "-"], stdin=source.encode())
    return (result.stdout + result.stderr).decode().strip()


def output(bottle: BwrapBottle, script: str) -> str:
    """Run a probe in the shell and return what it printed, errors too."""
    result = bottle.exec(script)
    return (result.stdout + result.stderr).decode().strip()


ENVIRON = "cat /proc/1/environ | tr '\\0' '\\n'"


def test_the_environment_of_bubblewrap_is_not_ours(bottle: BwrapBottle, weakened: Weakened) -> None:
    """S3: /proc/1/environ holds nothing of the host. bubblewrap gets none, and is not PID 1 either."""
    assert "Permission denied" in output(bottle, ENVIRON)
    with weakened(trusting=True, without=[("--as-pid-1",)], env={"HOST_SECRET": "5e1f"}) as weak:
        assert "HOST_SECRET=5e1f" in output(weak, ENVIRON)
    with weakened(trusting=True, without=[("--as-pid-1",)]) as weak:  # the first lock's own verdict
        assert "HOST_SECRET" not in output(weak, ENVIRON)
        assert "PATH=" not in output(weak, ENVIRON)


def test_the_agent_server_has_no_environment(weakened: Weakened) -> None:
    """S3: `--clearenv` empties what PID 1 itself would show, were it readable."""
    given = {"HOST_SECRET": "5e1f"}
    with weakened(trusting=True, env=given) as weak:
        assert "HOST_SECRET" not in output(weak, ENVIRON)
    with weakened(trusting=True, env=given, without=[("--clearenv",)]) as weak:
        assert "HOST_SECRET" in output(weak, ENVIRON)


@pytest.mark.root
def test_sysctls_of_the_host_cannot_be_written(bottle: BwrapBottle, weakened: Weakened, python: str) -> None:
    """K1: the kernel asks for the global uid 0 there, so root drops it. The probe only opens the file."""
    probe = "try: open('/proc/sys/kernel/core_pattern', 'r+b'); print('opened')\nexcept OSError as e: print(e.strerror)"
    read_only = ("--ro-bind", "/proc/sys", "/proc/sys")
    assert run_python(bottle, python, probe) == "Permission denied"
    with weakened(without=[read_only]) as weak:  # the first lock's own verdict
        assert run_python(weak, python, probe) == "Permission denied"
    with weakened(privileged=True) as weak:  # and the second's
        assert run_python(weak, python, probe) == "Read-only file system"
    with weakened(without=[read_only], privileged=True) as weak:
        assert run_python(weak, python, probe) == "opened"


@pytest.mark.root
def test_bubblewrap_never_runs_as_root(bottle: BwrapBottle, weakened: Weakened) -> None:
    """K1: no process of a bottle has the host's uid 0, and what it makes is not root's on the host."""
    mounts = "grep ' /workspace ' /proc/mounts"
    assert "uid=0" not in output(bottle, mounts).replace("uid=1879", "")
    assert "uid=" in output(bottle, mounts)
    with weakened(privileged=True) as weak:
        assert "uid=" not in output(weak, mounts)  # tmpfs does not print its default, 0


SERVER = "ls /proc/1/fd; head -c 1 /proc/1/mem"


def test_the_agent_server_cannot_be_read_or_driven(bottle: BwrapBottle, weakened: Weakened) -> None:
    """S3, N15: descriptors and memory of PID 1, in which the control socket and the environment are, are closed."""
    assert output(bottle, SERVER).count("Permission denied") == 2
    with weakened(trusting=True) as weak:
        assert "Permission denied" not in output(weak, SERVER)


PTRACE = (
    CALL
    + "libc.ptrace.argtypes = [ctypes.c_long] * 4\n"
    + ("print('attached' if libc.ptrace(0x4206, 1, 0, 0) == 0 else os.strerror(ctypes.get_errno()))")
)


def test_the_agent_server_cannot_be_traced(bottle: BwrapBottle, weakened: Weakened, python: str) -> None:
    """K2: ptrace of PID 1 is refused, also where the filter would let it through."""
    assert run_python(bottle, python, PTRACE) == "Operation not permitted"
    with weakened(unfiltered=True) as weak:  # being undumpable is a lock of its own
        assert run_python(weak, python, PTRACE) == "Operation not permitted"
    with weakened(unfiltered=True, trusting=True) as weak:
        assert run_python(weak, python, PTRACE) == "attached"


@pytest.mark.parametrize("signal", ["KILL", "TERM", "INT", "HUP", "STOP", "USR1", "SEGV"])
def test_no_signal_from_inside_ends_the_agent_server(bottle: BwrapBottle, signal: str) -> None:
    """N14: the agent cannot end PID 1 and with it the bottle under its launcher's feet."""
    bottle.exec(f"kill -{signal} 1")
    assert bottle.exec("echo still here").stdout == b"still here\n"


FILTERED = {
    "vsock": "import socket\ntry: socket.socket(40, 1); print('done')\nexcept OSError as e: print(e.strerror)",
    "packet": "import socket\ntry: socket.socket(38, 5); print('done')\nexcept OSError as e: print(e.strerror)",
    "add_key": CALL + "print(call(248, 217, b'user', b'k', b'v', 1, -3))",
    "keyctl": CALL + "print(call(250, 219, 0, -3, 1))",
    "io_uring_setup": CALL + "b = ctypes.create_string_buffer(120)\nprint(call(425, 425, 1, b))",
    "userfaultfd": CALL + "print(call(323, 282, 1))",
}


def test_the_kernels_side_doors_are_filtered(bottle: BwrapBottle, weakened: Weakened, python: str) -> None:
    """K2, N9: what namespaces do not cover is refused by the filter: vsock, keyrings, io_uring and more."""
    assert "done" not in {run_python(bottle, python, source) for source in FILTERED.values()}
    with weakened(unfiltered=True) as weak:
        worked = {name for name, source in FILTERED.items() if run_python(weak, python, source) == "done"}
    # What this very kernel was built without cannot show the difference; these it must.
    assert worked >= {"keyctl", "add_key"}
    assert len(worked) >= 3, f"only {worked} can be told apart on this kernel"


UNSHARE = CALL + "print('done' if libc.unshare(0x10000000) == 0 else os.strerror(ctypes.get_errno()))"


def test_no_further_user_namespace_can_be_made(bottle: BwrapBottle, weakened: Weakened, python: str) -> None:
    """K2: a user namespace would give the agent capabilities over mounts and networks of its own."""
    assert run_python(bottle, python, UNSHARE) == "Operation not permitted"
    with weakened(unfiltered=True) as weak:  # `--disable-userns` is a lock of its own
        assert run_python(weak, python, UNSHARE) == "No space left on device"
    with weakened(unfiltered=True, without=[("--disable-userns",)]) as weak:
        assert run_python(weak, python, UNSHARE) == "done"


STATUS = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t'"


def test_no_capability_is_left(bottle: BwrapBottle, weakened: Weakened) -> None:
    """K1, N18: every capability set is empty, no program can gain one, a filter is on."""
    none = "0" * 16
    expected = {f"Cap{name}:{none}" for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")} | {"NoNewPrivs:1", "Seccomp:2"}
    assert set(output(bottle, STATUS).splitlines()) == expected
    drop = ("--cap-drop", "ALL")
    with weakened(trusting=True, without=[drop], extra=["--cap-add", "CAP_NET_ADMIN"], privileged=True) as weak:
        assert f"CapEff:{none}" not in output(weak, STATUS)


def test_the_agent_server_refuses_a_weaker_sandbox(weakened: Weakened) -> None:
    """K4: where the confinement is not what was asked for there is no bottle, and no weaker one in its place."""
    with pytest.raises(Exception, match="not confined"), weakened(without=[("--as-pid-1",)]):
        pass


def test_the_bottle_has_a_session_of_its_own(bottle: BwrapBottle, weakened: Weakened) -> None:
    """K2: without our session there is no way to push bytes into the user's terminal (TIOCSTI)."""
    session = "cut -d ' ' -f 6 /proc/1/stat"
    assert output(bottle, session) == "1"
    assert "No such device" in output(bottle, ": < /dev/tty")
    with weakened(without=[("--new-session",)]) as weak:
        assert output(weak, session) == "0"  # one of outside, which has no number in here


def test_processes_of_the_host_do_not_exist_inside(bottle: BwrapBottle) -> None:
    """N19: only the bottle's own processes are seen, from PID 1 on."""
    seen = {int(pid) for pid in output(bottle, "ls /proc | grep '^[0-9]'").split()}
    assert 1 in seen
    assert len(seen) < 16
    assert "bottle" in output(bottle, "tr '\\0' ' ' < /proc/1/cmdline")


@pytest.mark.parametrize("path", ["/root", "/etc/shadow", "/etc/ssh", "/sys", "/boot", "/var/run/docker.sock", "/mnt"])
def test_files_of_the_host_do_not_exist_inside(bottle: BwrapBottle, path: str) -> None:
    """F7, K3: nothing of the host but its programs is there, so no trick with a path can reach it."""
    assert bottle.exec(f"test -e {path} || test -e /proc/self/root{path}").returncode == 1


def test_home_and_this_repository_do_not_exist_inside(bottle: BwrapBottle) -> None:
    """F8: neither the user's home nor the folder from which a bottle is started is seen."""
    assert not bottle.exec(f"ls -d {Path.home()}/* {Path(__file__).parent}").stdout
    assert output(bottle, "ls /home") == "agent"


def test_only_tmpfs_with_a_size_is_writable(bottle: BwrapBottle) -> None:
    """K1: every mount is read-only, a tmpfs that has a size, or one of the kernel's own."""
    for line in bottle.exec("cat /proc/mounts").stdout.decode().splitlines():
        _, place, kind, options, *_ = line.split()
        words = options.split(",")
        if "rw" in words and not (kind in {"proc", "devpts"} or place.startswith("/dev/")):
            assert kind == "tmpfs", line
        if kind == "tmpfs" and "rw" in words:
            assert any(word.startswith("size=") for word in words), line
        assert "nosuid" in words, line


@pytest.mark.parametrize("path", ["/x", "/usr/x", "/etc/x", "/etc/passwd", "/dev/x", "/.bottle/x", "/proc/sys/x"])
def test_the_tree_is_read_only(bottle: BwrapBottle, path: str) -> None:
    """K1: nothing outside the agent's own folders can be written."""
    assert bottle.exec(f"echo > {path}").returncode != 0


def test_the_root_folder_is_read_only_because_it_is_remounted(weakened: Weakened) -> None:
    """K1: bubblewrap's root is a tmpfs without a size."""
    with weakened(without=[("--remount-ro", "/")]) as weak:
        assert weak.exec("echo > /x").returncode == 0
    with weakened(without=[("--remount-ro", "/dev")]) as weak:
        assert weak.exec("echo > /dev/x").returncode == 0


def test_commands_have_three_descriptors(bottle: BwrapBottle) -> None:
    """N15: nothing of the launcher, of bubblewrap or of the agent server is inherited."""
    assert output(bottle, "sleep 5 & sleep 0.3; ls /proc/$!/fd").split() == ["0", "1", "2"]


def test_the_agent_has_no_way_to_the_host(bottle: BwrapBottle, weakened: Weakened) -> None:
    """N2, N17: a listener on the host that the host reaches is not reached from inside, on any address."""
    with open_witness(own_addresses()) as addresses:
        assert [dial_here(*address) for address in addresses] == [True] * len(addresses)
        dials = [Dial(*address) for address in addresses]
        assert bottle.look(dials, []).answers == (None,) * len(addresses)
        assert [dial_here(*address) for address in addresses] == [True] * len(addresses)
        with weakened(extra=["--unshare-all", "--share-net"], without=[("--unshare-all",)]) as weak:
            answers = weak.look(dials, []).answers
        assert [answer is not None and answer.startswith(b"witness ") for answer in answers] == [True] * len(addresses)


def dial_here(host: str, port: int) -> bool:
    """Say whether this machine reaches an address of its own."""
    with socket.create_connection((host, port), timeout=2) as connection:
        return connection.recv(64).startswith(b"witness ")


NETWORK = """
import socket
for family, kind, address in ((2, 2, "192.0.2.1"), (2, 1, "192.0.2.1"), (10, 2, "2001:db8::1"), (10, 1, "2001:db8::1")):
    try:
        s = socket.socket(family, kind); s.settimeout(2); s.connect((address, 53)); print("connected")
    except OSError as e: print(e.strerror)
for family, kind, proto in ((2, 3, 1), (2, 3, 255), (17, 3, 3)):
    try: socket.socket(family, kind, proto); print("opened")
    except OSError as e: print(e.strerror)
try: s = socket.socket(2, 2, 0); s.sendto(b"x", ("192.0.2.1", 53)); print("sent")
except OSError as e: print(e.strerror)
"""


def test_no_protocol_leaves_the_bottle(bottle: BwrapBottle, python: str) -> None:
    """N7, N8, N9: there is no route for TCP, UDP, IPv6 or DNS, and no raw, ICMP or packet socket."""
    said = run_python(bottle, python, NETWORK).splitlines()
    assert said[:4] == ["Network is unreachable"] * 4
    assert set(said[4:7]) <= {"Operation not permitted", "Address family not supported by protocol"}
    assert said[7] == "Network is unreachable"
    assert output(bottle, "grep : /proc/net/dev | cut -d : -f 1").split() == ["lo"]


def test_names_of_the_host_do_not_resolve_inside(bottle: BwrapBottle) -> None:
    """N7: the bottle's resolver knows its own hosts file and nothing else, and says so at once."""
    names = ["localhost", "bottle", "example.com", f"{os.uname().nodename}.example"]
    assert bottle.look([], names).resolved == (True, True, False, False)
    assert output(bottle, "cat /etc/resolv.conf") == ""


def test_without_its_proxy_the_listener_refuses(bottle: BwrapBottle) -> None:
    """N14: a proxy that is not there, or has died, leaves no way out and no hang."""
    assert bottle.look([Dial("127.0.0.1", 3128)], []).answers == (None,)


def test_core_dumps_never_leave(bottle: BwrapBottle) -> None:
    """S3: a core of one byte is none, also where the host pipes cores to a program of its own."""
    assert output(bottle, "grep core /proc/self/limits").split()[4:6] == ["1", "1"]
