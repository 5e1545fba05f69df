"""The drop from root to the sidecar's own uid, and the hardening that needs no root."""

import ctypes
import os
import resource

__all__ = ["MEMORY", "PrivilegeError", "drop"]

PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 2, 4, 38
MEMORY = 1 << 30
"""Bytes of private memory: the agent may make the proxy end, which closes its way out, but not eat the machine."""


class PrivilegeError(OSError):
    """Privileges could not be given up, so nothing may be served."""


def drop(uid: int | None, gid: int | None) -> None:
    """Become `uid` and `gid` for good, without groups, undumpable, without core files; PrivilegeError if not.

    None keeps the own uid, which must not be root. The parent-death signal survives: the kernel clears it
    when the uid changes.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    death = ctypes.c_int(0)
    _check(libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(death)), "PR_GET_PDEATHSIG")
    if uid is not None and gid is not None and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    if 0 in os.getresuid():
        raise PrivilegeError("the proxy must not serve as root")
    if uid is not None and (os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid)):
        raise PrivilegeError(f"the proxy could not become uid {uid}, gid {gid}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    _check(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE")
    _check(libc.prctl(PR_SET_PDEATHSIG, death.value, 0, 0, 0), "PR_SET_PDEATHSIG")


def _check(result: int, what: str) -> None:
    if result != 0:
        raise PrivilegeError(ctypes.get_errno(), f"{what} failed")
