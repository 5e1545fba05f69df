"""What a bottle must be refused and what it must not, written out without the rule table."""

from __future__ import annotations

import errno

_REFUSED = {
    errno.EPERM: """
        add_key request_key keyctl bpf perf_event_open userfaultfd
        kexec_load kexec_file_load init_module finit_module delete_module
        mount umount2 pivot_root chroot move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick
        mount_setattr setns unshare process_vm_readv process_vm_writev pidfd_getfd kcmp
        move_pages migrate_pages name_to_handle_at open_by_handle_at acct quotactl quotactl_fd
        swapon swapoff reboot syslog
        settimeofday clock_settime clock_adjtime adjtimex lookup_dcookie sethostname setdomainname vhangup
    """,
    errno.ENOSYS: "io_uring_setup io_uring_enter io_uring_register clone3",
}
_REFUSED_ON_X86_64 = "iopl ioperm modify_ldt"

# name, position of the argument, its value, errno or 0 for allowed
CONDITIONAL: list[tuple[str, int, int, int]] = [
    *(("clone", 0, flag, errno.EPERM) for flag in (0x20000, *(1 << bit for bit in range(25, 31)))),
    ("clone", 0, 0x10000000 | 17, errno.EPERM),  # CLONE_NEWUSER | SIGCHLD
    ("clone", 0, 0x3D0F00, 0),  # pthread_create
    ("clone", 0, 0x1200011, 0),  # fork
    ("clone", 0, 0x4111, 0),  # CLONE_VFORK | CLONE_VM | SIGCHLD: posix_spawn
    *(("ioctl", 1, request, errno.EPERM) for request in (0x5412, 0x541C, 0x5423)),
    *(("ioctl", 1, request, 0) for request in (0x5401, 0x540E, 0x5411, 0x5413, 0x5414, 0x541B)),
    *((name, 0, family, 0) for name in ("socket", "socketpair") for family in (1, 2, 10, 16)),
    *(
        (name, 0, family, errno.EAFNOSUPPORT)
        for name in ("socket", "socketpair")
        for family in (0, 3, 9, 11, 15, 17, 31, 38, 40, 44, 255)  # 38 AF_ALG, 40 AF_VSOCK
    ),
    *(("personality", 0, persona, 0) for persona in (0, 0x40000, 0xFFFFFFFF)),
    *(("personality", 0, persona, errno.EPERM) for persona in (8, 0x20000, 0x100000, 0x400000, 0x440000)),
]


def refused(machine: str) -> list[tuple[str, int]]:
    """Return name and errno of each call that is refused whatever its arguments."""
    calls = [(name, code) for code, names in _REFUSED.items() for name in names.split()]
    if machine == "x86_64":
        calls += [(name, errno.EPERM) for name in _REFUSED_ON_X86_64.split()]
    return calls
