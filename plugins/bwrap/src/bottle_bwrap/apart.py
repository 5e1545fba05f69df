"""A proxy that can only listen at an address: in a network of its own, which no other user of this machine is in.

`pasta` makes that network and carries out of it what the proxy dials, as this user's own connections. Nothing leads
into it, and this machine's loopback is not what it looks like from in there. The bottle's listener is served by a
splice that is in it too.
"""

import os
import select
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from msgspec import structs

from bottle_bwrap import interpreter
from bottle_bwrap.inside.wire import receive
from bottle_bwrap.probe import working_program
from bottle_bwrap.sidecar import ProcessSidecar, write_sidecar
from claude_bottle.errors import DeadlineError, LaunchError, UnavailableError
from claude_bottle.seam.bottle import ExecResult
from claude_bottle.seam.probe import Finding
from claude_bottle.seam.sidecar import File, SidecarSpec, Warm

__all__ = ["ApartSidecar", "examine", "start_apart"]

CURE = "apt-get install passt (or your system's package of that name), or choose another proxy"
TUN = Path("/dev/net/tun")
RESOLVER = "169.254.1.1"
"""Where the proxy asks for names: pasta passes it on to this machine's own resolver, wherever that listens."""

# Nothing is forwarded into the network nor to this machine's loopback, in either direction.
CLOSED = ("--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none")
START = 10.0  # seconds until it must be there
SPLICE = "splice.py"


class ApartSidecar(ProcessSidecar):
    """A sidecar behind its splice. Our process is `pasta`, which ends with it and gives its exit code."""

    def __init__(self, warm: Warm, root: Path, uid: int | None) -> None:
        super().__init__(warm, root, uid)
        warm.channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._pid = 0

    def exec(self, argv: Sequence[str], timeout: float) -> ExecResult:
        """See `seam.sidecar.Sidecar`: in the proxy's own network."""
        nsenter = shutil.which("nsenter") or "nsenter"
        words = ("--target", str(self.first()), "--user", "--net", "--preserve-credentials", "--")
        return super().exec((nsenter, *words, *argv), timeout)

    def first(self) -> int:
        """Return the pid of the splice as this machine counts, once it has said that it is there."""
        if not self._pid:
            if not select.select([self._channel], [], [], START)[0]:
                raise DeadlineError("the proxy's network is not there in time")
            try:
                _, _, self._pid = receive(self._channel)
            except (EOFError, OSError) as error:
                raise LaunchError(f"the proxy's network is not there: {self.last_words or error}") from error
        return self._pid


def examine() -> tuple[Finding, ...]:
    """Return whether a network of its own can be made here, and be reached by whom it is for."""
    pasta = shutil.which("pasta")
    found = [Finding(what="pasta", ok=pasta is not None, detail=pasta or "not found", cure=None if pasta else CURE)]
    if os.getuid() == 0:
        mode = TUN.stat().st_mode if TUN.exists() else 0
        usable = mode & 0o006 == 0o006  # noqa: PLR2004 - read and write for all: root's proxies have a uid of their own
    else:
        usable = os.access(TUN, os.R_OK | os.W_OK)
    cure = None if usable else f"`modprobe tun`, then `chmod 666 {TUN}` as root, or choose another proxy"
    found.append(Finding(what=str(TUN), ok=usable, detail="" if usable else "not to be opened by the proxy", cure=cure))
    return tuple(found)


def start_apart(spec: SidecarSpec, port: int, root: Path, uid: int | None) -> ApartSidecar:
    """Write the sidecar's files below `root`, and start it in a network of its own."""
    files = tuple(File(name, data, 0o644) for name, data in name_files(spec.hosts).items())
    write_sidecar(structs.replace(spec, files=(*spec.files, *files)), root, uid)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            apart_command(spec, port, root),
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(spec.env),
            cwd="/",
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
            start_new_session=True,  # the terminal's Ctrl-C is not for it
        )
    return ApartSidecar(Warm(process, ours), root, uid)


def apart_command(spec: SidecarSpec, port: int, root: Path) -> list[str]:
    """Return pasta's command line: bubblewrap in it, the splice in that, and the proxy as its child."""
    pasta = shutil.which("pasta")
    if pasta is None:
        raise UnavailableError("pasta is not on PATH", CURE)
    python = interpreter.find_interpreter()
    path = str(python.prefix / "bin" / Path(python.path).name) if python.prefix else python.path
    script = resources.files(__package__ or "").joinpath("inside", SPLICE).read_text(encoding="utf-8")
    network = [pasta, "--quiet", "--config-net", *CLOSED, "--dns-forward", RESOLVER, "--"]
    return [
        *network,
        str(working_program().path),
        *(word for option in view(root) for word in option),
        *("--", path, "-I", "-S", "-c", script, str(port), *spec.argv),
    ]


def view(root: Path) -> Sequence[Sequence[str]]:
    """Return what the proxy sees of this machine: all of it read-only, its own folder, and names of its own."""
    return (
        ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1", "--die-with-parent", "--cap-drop", "ALL"),
        ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
        ("--bind", str(root), str(root), "--chdir", str(root)),
        *(("--ro-bind", str(root / name), str(Path("/etc", name).resolve())) for name in ("hosts", "resolv.conf")),
    )


def name_files(hosts: Sequence[tuple[str, str]]) -> Mapping[str, bytes]:
    """Return the files of /etc by which the proxy knows names."""
    table = "".join(f"{address} {name}\n" for name, address in (("localhost", "127.0.0.1"), *hosts))
    return {"hosts": table.encode(), "resolv.conf": f"nameserver {RESOLVER}\n".encode()}
