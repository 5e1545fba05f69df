"""An engine behind ssh: its socket, forwarded by OpenSSH's own client for as long as this process lives."""

import atexit
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from claude_bottle.errors import UnavailableError
from claude_bottle.seam.folders import private_dir, runtime_dir

__all__ = ["Place", "forwarded", "read_place"]

REMOTE = "/var/run/docker.sock"
PATIENCE = 20.0  # seconds that a login may take
OPTIONS = (
    "BatchMode=yes",  # nobody is asked: what needs a password or a yes is an error that says so
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ExitOnForwardFailure=yes",
    "StreamLocalBindMask=0177",
    # Nothing else of this user's goes along, and no connection of another program's is used, or left open.
    *("ControlMaster=no", "ControlPath=none", "ForwardAgent=no", "ForwardX11=no", "PermitLocalCommand=no"),
)


class Place(NamedTuple):
    """What an `ssh://` URL names: the words that ssh is given for the host, and the path of the socket there."""

    words: Sequence[str]
    socket: str


def read_place(url: str) -> Place:
    """Return what `ssh://[user@]host[:port][/path]` names; UnavailableError for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UnavailableError(f"{url!r} names no host: {error}") from error
    if not host or parts.password is not None or parts.query or parts.fragment:
        raise UnavailableError("an engine behind ssh is named as ssh://[user@]host[:port][/path/to/its.sock]")
    words = [*(("-l", parts.username) if parts.username else ()), *(("-p", str(port)) if port else ()), "--", host]
    return Place(words, REMOTE if parts.path in {"", "/"} else parts.path)


@cache
def forwarded(url: str, process: int) -> str:
    """Return the path of a socket here that leads to an engine; UnavailableError with ssh's own words.

    One for each process, which `process` tells apart: the client ends with the process that began it.
    """
    place = read_place(url)
    if (ssh := shutil.which("ssh")) is None or (setpriv := shutil.which("setpriv")) is None:
        raise UnavailableError("ssh and setpriv are needed for an engine behind ssh", "install openssh-client")
    folder = private_dir(private_dir(runtime_dir()) / "engines")
    remove_dead(folder)
    path = folder / f"{process}-{os.urandom(4).hex()}"
    options = [word for option in OPTIONS for word in ("-o", option)]
    argv = [setpriv, "--pdeathsig", "TERM", ssh, "-nNT", *options, "-L", f"{path}:{place.socket}", *place.words]
    with tempfile.TemporaryFile() as said:
        client = Client(argv, said.fileno())
        atexit.register(client.end, path)
        deadline = time.monotonic() + PATIENCE
        while not path.is_socket():
            if client.ended.wait(0.01) or time.monotonic() > deadline:
                client.end(path)
                said.seek(0)
                reason = said.read().decode("utf-8", "replace").strip() or f"no login within {PATIENCE:g} s"
                hint = f"try `ssh {' '.join(place.words)} true`, which must do without a question"
                raise UnavailableError(f"the engine at {url} cannot be reached: {reason}", hint)
    return str(path)


class Client:
    """A process that is ended by the kernel with the thread that began it, which lives as long as this process."""

    def __init__(self, argv: Sequence[str], stderr: int) -> None:
        self.ended = threading.Event()
        self._begun = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._run, args=(argv, stderr), name="engine ssh", daemon=True).start()
        self._begun.wait()

    def _run(self, argv: Sequence[str], stderr: int) -> None:
        try:
            # A Ctrl-C at the terminal is not for it: what is taken down then needs the engine.
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
            )
            self._begun.set()
            self._process.wait()
        finally:
            self._begun.set()
            self.ended.set()

    def end(self, path: Path) -> None:
        """End it, and remove the socket, which it leaves. Idempotent."""
        if self._process is not None:
            self._process.terminate()
        path.unlink(missing_ok=True)


def remove_dead(folder: Path) -> None:
    """Remove the sockets of processes that are no more."""
    for path in folder.iterdir():
        process = path.name.partition("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists():
            with suppress(OSError):
                path.unlink()
