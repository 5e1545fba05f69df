"""One bottle's name and folder, the proxy beside it, and the order in which all of it is taken down."""

import os
import socket
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import msgspec
from claude_bottle.errors import LaunchError
from claude_bottle.seam.environ import ca_environment, proxy_environment
from claude_bottle.seam.owner import Launch, start_time
from claude_bottle.seam.sidecar import Address, SidecarSpec
from claude_bottle.seam.traits import Listen, Runs
from claude_bottle.seam.trust import read_bundle
from claude_bottle.seam.witness import open_witness, own_addresses

from bottle_unshare.bottle import UnshareBottle
from bottle_unshare.command import send_in
from bottle_unshare.record import claim
from bottle_unshare.section import UnshareSection
from bottle_unshare.sidecar import UnshareSidecar
from bottle_unshare.walls import HOME, WORKSPACE

__all__ = ["UnshareSite", "spare_uids"]

PORT = 3128
START = 10.0
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": HOME,
    "USER": "agent",
    "SHELL": "/bin/sh",
    "PWD": WORKSPACE,
    "LANG": "C.UTF-8",
    **proxy_environment("127.0.0.1", PORT),
    **ca_environment(),
}


class UnshareSite:
    """See `claude_bottle.seam.sidecar.Site`. Whatever is made registers its own undoing at once."""

    runs: Runs = "process"
    listen = Listen("fd", "127.0.0.1", PORT)

    def __init__(self, slug: str, launch: Launch) -> None:
        self._stack = ExitStack()
        self._uid, self._proxy_uid = spare_uids(launch.label)
        self._record = claim(slug, launch)
        self._stack.callback(self._sweep)
        self._sidecars: list[UnshareSidecar] = []

    @property
    def root(self) -> str:
        """Where a sidecar finds its files."""
        return str(self._record.folder / "proxy")

    def run(self, spec: SidecarSpec) -> UnshareSidecar:
        """Start it; its listener comes with the bottle, which must be later."""
        sidecar = UnshareSidecar(spec, Path(self.root), self._proxy_uid)
        self._stack.callback(sidecar.stop)
        self._sidecars.append(sidecar)
        return sidecar

    def settle(self) -> None:
        """Nothing takes long here."""

    def witness(self) -> AbstractContextManager[Sequence[Address]]:
        """Listen wherever a process of this machine can dial."""
        return open_witness(own_addresses())

    def start(self, section: UnshareSection, environment: Mapping[str, str]) -> UnshareBottle:
        """Start the bottle, and hand the listener in it to the proxy, and to nobody else."""
        ours, theirs = socket.socketpair()
        request = {
            "verb": "begin",
            "uid": self._uid,
            "files": section.files,
            "bundle": b64encode(read_bundle(())).decode(),
            "port": PORT,
            "channel": theirs.fileno(),
            "env": {**ENVIRONMENT, **environment},
        }
        with ours, theirs:
            process = send_in(request, more=[theirs.fileno()])
            self._stack.callback(process.end)
            theirs.close()
            ours.settimeout(START)
            _, fds, _, _ = socket.recv_fds(ours, 64, 1)
            ours.recv(1)  # its end: PID 1 is there, with its environment
        if not fds:
            said = process.communicate(timeout=START)[1].decode("utf-8", "replace").strip()
            raise LaunchError(f"the bottle did not start: {said}", "run `bottle doctor`")
        with socket.socket(fileno=fds[0]) as listener:
            for sidecar in self._sidecars:
                sidecar.hand_over(listener)
        pid = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii"))
        self._record = msgspec.structs.replace(self._record, pid=pid, start=start_time(pid) or 0)
        self._record.write()
        return UnshareBottle(self._record)

    def _sweep(self) -> None:
        self._record.sweep()

    def close(self) -> None:
        """Take down everything, the last thing first."""
        self._stack.close()


def spare_uids(label: str) -> tuple[int, int] | tuple[None, None]:
    """Return what root becomes for the bottle and for the proxy: numbers of nobody, other ones in each launch."""
    if os.getuid() != 0:
        return None, None
    first = (1 << 30) + 2 * int(label[:7], 16)
    return first, first + 1
