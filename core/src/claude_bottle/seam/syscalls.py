"""The rule table: which system calls a bottle may not make, what they answer instead, and why.

A backend turns it into a filter of its own form, which adds what holds before any rule (other architectures,
calls newer than this table) and decides what no rule names. A call is named by one rule at most.
"""

from __future__ import annotations

from errno import EAFNOSUPPORT, ENOSYS, EPERM
from typing import NamedTuple

__all__ = ["RULES", "AnyBit", "Condition", "NoneOf", "OneOf", "Rule"]


class OneOf(NamedTuple):
    """True when the argument's low 32 bits equal one of the values.

    Every argument that a rule looks at is an `int` or `unsigned int` to the kernel (`clone` keeps the lower
    half of its flags), which ignores the upper half of the register. So do the conditions: garbage up there
    lets no call through, and refuses none.
    """

    argument: int
    values: tuple[int, ...]


class NoneOf(NamedTuple):
    """True when the argument's low 32 bits equal none of the values."""

    argument: int
    values: tuple[int, ...]


class AnyBit(NamedTuple):
    """True when the argument's low 32 bits have a bit of the mask set."""

    argument: int
    mask: int


Condition = OneOf | NoneOf | AnyBit


class Rule(NamedTuple):
    """The named calls fail with `errno`, always or when the condition is true."""

    calls: tuple[str, ...]
    errno: int
    reason: str
    when: Condition | None = None


# <linux/sched.h>. CLONE_NEWTIME is not among them: in clone() its bit is part of the exit signal.
CLONE_NEWNS = 0x0002_0000
CLONE_NEWCGROUP = 0x0200_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000
CLONE_NAMESPACES = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
)

# <asm-generic/ioctls.h>
TIOCSTI = 0x5412
TIOCLINUX = 0x541C
TIOCSETD = 0x5423

# <linux/socket.h>
AF_UNIX = 1
AF_INET = 2
AF_INET6 = 10
AF_NETLINK = 16

# <linux/personality.h>
PER_LINUX = 0
ADDR_NO_RANDOMIZE = 0x0004_0000
PER_QUERY = 0xFFFF_FFFF

RULES = (
    Rule(
        ("add_key", "request_key", "keyctl"),
        EPERM,
        "Keyrings belong to the user and the login session, not to a namespace: they are the host's.",
    ),
    Rule(
        ("bpf", "perf_event_open", "userfaultfd"),
        EPERM,
        "Programs and counters in the kernel, and page faults that stop it: the usual parts of an exploit.",
    ),
    Rule(
        ("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module"),
        EPERM,
        "They replace or extend the running kernel.",
    ),
    Rule(
        (
            "mount",
            "umount2",
            "pivot_root",
            "chroot",
            "move_mount",
            "open_tree",
            "open_tree_attr",
            "fsopen",
            "fsconfig",
            "fsmount",
            "fspick",
            "mount_setattr",
        ),
        EPERM,
        "The mount table is the wall of the bottle; file system parsers are attack surface.",
    ),
    Rule(
        ("setns", "unshare"),
        EPERM,
        "A new user namespace hands out capabilities, and with them most of the kernel's attack surface.",
    ),
    Rule(
        ("clone",),
        EPERM,
        "The same by another door; threads and processes need none of these flags.",
        AnyBit(0, CLONE_NAMESPACES),
    ),
    Rule(
        ("clone3",),
        ENOSYS,
        "Its flags lie in memory, which a filter cannot read. At ENOSYS libc falls back to clone.",
    ),
    Rule(
        ("io_uring_setup", "io_uring_enter", "io_uring_register"),
        ENOSYS,
        "It makes calls that no filter sees. At ENOSYS programs fall back to epoll, as on an older kernel.",
    ),
    Rule(
        ("process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "move_pages", "migrate_pages"),
        EPERM,
        "They reach into other processes. Debuggers have ptrace, which stays: it works inside the bottle "
        "alone, and the filter sees the calls of a traced process after its tracer.",
    ),
    Rule(
        ("name_to_handle_at", "open_by_handle_at"),
        EPERM,
        "A file handle names any file of a file system, also one outside what is mounted.",
    ),
    Rule(
        (
            "acct",
            "adjtimex",
            "clock_adjtime",
            "clock_settime",
            "ioperm",
            "iopl",
            "lookup_dcookie",
            "quotactl",
            "quotactl_fd",
            "reboot",
            "setdomainname",
            "sethostname",
            "settimeofday",
            "swapoff",
            "swapon",
            "syslog",
            "vhangup",
        ),
        EPERM,
        "They administer the machine: clock, swap, quotas, I/O ports, the kernel's log.",
    ),
    Rule(
        ("modify_ldt",),
        EPERM,
        "Segment descriptors of one's own serve 16-bit programs and attacks on the kernel's entry code.",
    ),
    Rule(
        ("ioctl",),
        EPERM,
        "TIOCSTI and TIOCLINUX type into a terminal as if the user did; TIOCSETD loads line disciplines, "
        "kernel modules that hardly anyone reviews.",
        OneOf(1, (TIOCSTI, TIOCLINUX, TIOCSETD)),
    ),
    Rule(
        ("socket", "socketpair"),
        EAFNOSUPPORT,
        "Only families that the network namespace confines: AF_VSOCK reaches the hypervisor from any "
        "namespace, AF_ALG and the rare protocols load kernel modules on demand.",
        NoneOf(0, (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)),
    ),
    Rule(
        ("personality",),
        EPERM,
        "Other personalities undo memory protections or select rarely used kernel code. Fixed addresses stay "
        "possible, for debuggers and sanitizers.",
        NoneOf(0, (PER_LINUX, ADDR_NO_RANDOMIZE, PER_QUERY)),
    ),
)
