"""The command line of bubblewrap, as data: what a bottle sees of this machine, and what it is denied."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bottle_bwrap.etc import GID, HOME, HOSTNAME, UID, WORKSPACE
from bottle_bwrap.trust import OTHER_BUNDLES, TrustFiles
from claude_bottle.seam.environ import BUNDLE, CA_FILE
from claude_bottle.seam.part import Mount

__all__ = ["CONFINEMENT", "SMALL", "Layout", "sandbox_command"]

SMALL = 64 << 20
"""Bytes of each tmpfs that has no setting of its own."""

# `--unshare-all` alone goes on without a user namespace where there is none; the explicit flag fails.
CONFINEMENT = (
    ("--unshare-user",),
    ("--unshare-all",),
    ("--disable-userns",),
    ("--cap-drop", "ALL"),
    ("--new-session",),
    ("--die-with-parent",),
    ("--as-pid-1",),
    ("--clearenv",),
    ("--uid", str(UID)),
    ("--gid", str(GID)),
    ("--hostname", HOSTNAME),
)

SHARED = (
    "alternatives",
    "ld.so.cache",
    "localtime",
    "mime.types",
    "os-release",
    "protocols",
    "services",
    "ssl/openssl.cnf",
    "terminfo",
)
"""What of the host's /etc is seen inside, read-only, where the host has it."""

# What a container runtime masks too: files of /proc that speak of the whole kernel.
MASKED = ("kcore", "key-users", "keys", "latency_stats", "sched_debug", "sysrq-trigger", "timer_list")
CA_FOLDER = Path(CA_FILE).parent


class Layout(NamedTuple):
    """What is put in beside the host's /usr: `data` and `seccomp` are descriptors of ours, sizes are in bytes.

    `prefix` is a Python of the host, and the place inside where it is seen. `programs` are the agent's: a folder
    or a file of this machine and its place inside; `commands` are links to what is in them. `mounts` are the plan's.
    """

    data: Mapping[str, int]
    trust: TrustFiles
    seccomp: int
    sizes: Mapping[str, int]
    prefix: tuple[Path, str] | None = None
    programs: tuple[tuple[Path, str], ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()


def sandbox_command(layout: Layout, command: Sequence[str]) -> list[str]:
    """Return bubblewrap's arguments, in which the order of mounts matters, and the command at their end."""
    options = (
        *CONFINEMENT,
        ("--seccomp", str(layout.seccomp)),
        *system(Path("/")),
        *devices(layout.sizes["/dev/shm"]),  # noqa: S108 - a place inside
        *scratch(layout.sizes),
        *etc(layout),
        *(("--perms", "0444", "--ro-bind-data", str(fd), place) for place, fd in layout.data.items()),
        *interpreter(layout),
        *(("--ro-bind", str(source), place) for source, place in layout.programs),
        *(("--symlink", target, link) for target, link in layout.commands),
        *(("--bind" if each.write else "--ro-bind", each.source, each.target) for each in layout.mounts),
        ("--chdir", WORKSPACE),
        ("--remount-ro", "/"),
    )
    return [word for option in options for word in option] + ["--", *command]


def interpreter(layout: Layout) -> Iterator[tuple[str, ...]]:
    """Yield a Python that is not in /usr. It was built for another place, so it is told where its library is."""
    if layout.prefix is not None:
        folder, place = layout.prefix
        yield ("--ro-bind", str(folder), place, "--setenv", "LD_LIBRARY_PATH", f"{place}/lib")


def system(root: Path) -> Iterator[tuple[str, ...]]:
    """Yield the host's programs and libraries, read-only, with its links from /bin and its like."""
    yield ("--ro-bind", "/usr", "/usr")
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = root / name
        if path.is_symlink():
            yield ("--symlink", str(path.readlink()), f"/{name}")
        elif path.is_dir():
            yield ("--ro-bind", str(path), f"/{name}")


def devices(shared_memory: int) -> Iterator[tuple[str, ...]]:
    """Yield /proc and /dev. /dev itself is a tmpfs without a limit, so nothing is left writable in it."""
    yield ("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys")
    for name in MASKED:
        if Path("/proc", name).exists():
            yield ("--ro-bind", "/dev/null", f"/proc/{name}")
    yield ("--dev", "/dev", *tmpfs("/dev/shm", shared_memory, "1777"), "--remount-ro", "/dev")  # noqa: S108 - inside


def scratch(sizes: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    """Yield every other place in which the agent can write."""
    yield tmpfs("/tmp", sizes["/tmp"], "1777")  # noqa: S108 - a place inside
    yield tmpfs("/var/tmp", sizes["/var/tmp"], "1777")  # noqa: S108 - a place inside
    yield tmpfs("/run", sizes["/run"], "0755")
    yield tmpfs(HOME, sizes[HOME], "0700")
    yield tmpfs(WORKSPACE, sizes[WORKSPACE], "0755")


def tmpfs(place: str, size: int, mode: str) -> tuple[str, ...]:
    """Return the options for one tmpfs: never without a size, which would leave RAM as the limit."""
    return ("--perms", mode, "--size", str(size), "--tmpfs", place)


def etc(layout: Layout) -> Iterator[tuple[str, ...]]:
    """Yield the shared files of /etc, and the CA bundle at every place where programs look for it."""
    for name in SHARED:
        yield ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    yield ("--ro-bind", str(layout.trust.bundle), BUNDLE)
    for place in OTHER_BUNDLES:
        yield ("--symlink", BUNDLE, place)
    if CA_FOLDER.is_dir():  # else there is no place for it in a read-only /usr, and the bundle has to do
        yield tmpfs(str(CA_FOLDER), 4096, "0755")
        yield ("--ro-bind", str(layout.trust.ca), CA_FILE, "--remount-ro", str(CA_FOLDER))
