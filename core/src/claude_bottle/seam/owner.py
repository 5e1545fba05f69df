"""Who started a launch, so that the living can be told from the dead, and ours from another machine's."""

import os
import select
import signal
from pathlib import Path

from msgspec import Struct

from claude_bottle.errors import DeadlineError

__all__ = ["Launch", "Owner"]

PATIENCE = 20.0  # seconds that a launch may take to tear itself down


class Owner(Struct, frozen=True):
    """A process, named so that no reuse of its pid, no reboot and no other machine can be mistaken for it.

    `start` is the process's start time in clock ticks since boot (field 22 of `/proc/PID/stat`).
    """

    machine: str
    boot: str
    pid: int
    start: int

    @classmethod
    def current(cls) -> "Owner":
        """Return this process."""
        return cls(machine_id(), boot_id(), os.getpid(), start_time(os.getpid()) or 0)

    def alive(self) -> bool | None:
        """Whether it runs; None if it belongs to another machine, where nobody here can know."""
        if self.machine != machine_id():
            return None
        return self.boot == boot_id() and start_time(self.pid) == self.start

    def end(self, what: str) -> None:
        """Ask the process to take down what it made, and wait until it has ended; nothing to do if it is this one.

        DeadlineError, which names it as `what`, if it does not end.
        """
        if self.pid == os.getpid() or not self.alive():
            return
        pidfd = os.pidfd_open(self.pid)
        try:
            if self.alive():  # looked at again: now the descriptor is known to be its
                signal.pidfd_send_signal(pidfd, signal.SIGTERM)
                if not select.select([pidfd], [], [], PATIENCE)[0]:
                    raise DeadlineError(f"{what} does not end", f"`kill -9 {self.pid}`, then `bottle cleanup`")
        finally:
            os.close(pidfd)


class Launch(Struct, frozen=True, kw_only=True):
    """One launch: its random label, who owns it, and whether it outlives its terminal."""

    label: str
    owner: Owner
    detach: bool = False


def machine_id() -> str:
    """Return this machine's id, or its host name where there is no such file."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            if text := Path(path).read_text(encoding="ascii").strip():
                return text
        except OSError:
            continue
    return os.uname().nodename


def boot_id() -> str:
    """Return the id of this boot; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
