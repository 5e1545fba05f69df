"""The walls of a bottle: namespaces, a root of its own, and what no process inside has.

Everything here changes the process that calls it. The calls are those of unshare(2), setns(2), mount(2), pivot_root(2),
mount_setattr(2), prctl(2) and capset(2).
"""

import ctypes
import fcntl
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

from claude_bottle.seam.environ import BUNDLE
from claude_bottle.seam.seccomp import program

__all__ = [
    "HOME",
    "UID",
    "WORKSPACE",
    "build_root",
    "confine",
    "die_with_parent",
    "enter",
    "hide",
    "replace_bundle",
    "separate",
]

UID = 1000  # the agent's, inside
HOME, WORKSPACE = "/home/agent", "/workspace"

NEW_NS, NEW_CGROUP, NEW_UTS, NEW_IPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000  # <linux/sched.h>
NEW_USER, NEW_PID, NEW_NET = 0x10000000, 0x20000000, 0x40000000
NAMESPACES = NEW_USER | NEW_NS | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_PID | NEW_NET

READ_ONLY, NO_SUID, NO_DEV, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18  # <linux/mount.h>
DETACH = 2  # umount2
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000  # one number on every machine

PDEATHSIG, DUMPABLE, SECCOMP, BOUNDING_DROP, NO_NEW_PRIVS, AMBIENT = 1, 4, 22, 24, 38, 47  # <linux/prctl.h>
FILTER, CLEAR_ALL, KILL = 2, 4, 9
CAPABILITIES = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
UP = 1  # IFF_UP

SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "etc/alternatives")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
FOLDERS = ("dev", "proc", "run", "tmp", "var/tmp", "etc/ssl/certs", HOME[1:], WORKSPACE[1:])
ETC = {
    "passwd": f"root:x:0:0:root:/root:/bin/false\nagent:x:{UID}:{UID}:agent:{HOME}:/bin/sh\n",
    "group": f"root:x:0:\nagent:x:{UID}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "resolv.conf": "",
}

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """Make a call of the C library; OSError if it fails."""
    if getattr(libc, name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system, or with BIND a folder or file that is there already."""
    call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())


def hide() -> None:
    """Let no process of our uid look into this one: it comes from outside, and the agent may have the same uid."""
    call("prctl", DUMPABLE, 0, 0, 0, 0)


def separate(uid: int | None) -> None:
    """Leave this machine's namespaces for new ones, as `uid` if we are root; its children see no process of ours."""
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        call("prctl", DUMPABLE, 1, 0, 0, 0)  # else /proc/self is root's
    maps = {"uid_map": f"{UID} {os.getuid()} 1", "gid_map": f"{UID} {os.getgid()} 1"}
    call("unshare", NAMESPACES)
    Path("/proc/self/setgroups").write_bytes(b"deny")
    for name, line in maps.items():
        Path("/proc/self", name).write_bytes(line.encode())
    socket.sethostname("bottle")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", UP))  # SIOCSIFFLAGS


def build_root(size: int, bundle: bytes) -> None:
    """Put together what the bottle sees, and leave everything else behind. We are PID 1 of a new namespace."""
    root = "/tmp"  # noqa: S108 - any folder will do: nobody else sees what is mounted there
    mount("", "/", flags=RECURSIVE | PRIVATE)
    mount("tmpfs", root, "tmpfs", options="mode=755")
    os.chdir(root)
    for name in FOLDERS:
        Path(name).mkdir(parents=True)
    for name in SYSTEM:
        bind_system(Path(name))
    for name, text in ETC.items():
        Path("etc", name).write_bytes(text.encode())
    with suppress(FileNotFoundError):
        Path("etc/ld.so.cache").write_bytes(Path("/etc/ld.so.cache").read_bytes())
    Path(BUNDLE[1:]).write_bytes(bundle)
    set_attributes(".", READ_ONLY | NO_SUID | NO_DEV, AT_RECURSIVE)
    mount("proc", "proc", "proc", NO_SUID | NO_DEV)
    make_devices()
    for name in ("tmp", "var/tmp", "dev/shm", HOME[1:], WORKSPACE[1:]):
        mount("tmpfs", name, "tmpfs", NO_SUID | NO_DEV, f"mode=755,size={size}m")
    call("pivot_root", b".", b".")
    call("umount2", b".", DETACH)
    os.chdir("/")


def bind_system(name: Path) -> None:
    """Show one of this machine's own folders; what is a link here is one inside."""
    host = Path("/") / name
    if host.is_symlink():
        name.symlink_to(host.readlink())
    elif host.is_dir():
        name.mkdir()
        mount(str(host), str(name), flags=BIND | RECURSIVE)


def make_devices() -> None:
    """Fill /dev with the few devices that are harmless, and terminals of the bottle's own."""
    mount("tmpfs", "dev", "tmpfs", NO_SUID, "mode=755,size=64k")
    for name in DEVICES:
        Path("dev", name).touch()
        mount(f"/dev/{name}", f"dev/{name}", flags=BIND)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        Path("dev", name).symlink_to(f"/proc/self/{target}")
    Path("dev/ptmx").symlink_to("pts/ptmx")
    Path("dev/pts").mkdir()
    Path("dev/shm").mkdir()
    mount("devpts", "dev/pts", "devpts", NO_SUID, "newinstance,ptmxmode=0666,mode=620")
    set_attributes("dev", READ_ONLY, 0)


def set_attributes(path: str, attributes: int, flags: int) -> None:
    """Add attributes to a mount, or with AT_RECURSIVE to all below it too; none is taken away."""
    wanted = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    call("syscall", MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, wanted, ctypes.c_size_t(32))


def enter(pid: int) -> None:
    """Go where a process is: its namespaces, its root, its uid. Children of ours are beside it."""
    if os.getuid() == 0:
        os.setgroups([])
    pidfd = os.pidfd_open(pid)
    call("setns", pidfd, NAMESPACES)
    os.close(pidfd)
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)


def replace_bundle(pem: bytes) -> None:
    """Write what programs inside trust; only before `confine`."""
    mount("", "/", flags=REMOUNT | BIND | NO_SUID | NO_DEV)
    Path(BUNDLE).write_bytes(pem)
    set_attributes("/", READ_ONLY, 0)


def confine() -> None:
    """Give up every capability and every way to gain one, and the calls that no bottle may make."""
    for capability in range(64):
        with suppress(OSError):  # this kernel has fewer
            call("prctl", BOUNDING_DROP, capability, 0, 0, 0)
    call("prctl", AMBIENT, CLEAR_ALL, 0, 0, 0)
    call("capset", struct.pack("Ii", CAPABILITIES, 0), bytes(24))
    call("prctl", NO_NEW_PRIVS, 1, 0, 0, 0)
    rules = program(os.uname().machine)
    loaded = ctypes.create_string_buffer(rules, len(rules))
    filter_ = struct.pack("HxxxxxxP", len(rules) // 8, ctypes.addressof(loaded))
    call("prctl", SECCOMP, FILTER, filter_, 0, 0)


def die_with_parent() -> None:
    """End at once when the process that began this one ends. After `confine`: a change of rights undoes it."""
    call("prctl", PDEATHSIG, KILL, 0, 0, 0)
