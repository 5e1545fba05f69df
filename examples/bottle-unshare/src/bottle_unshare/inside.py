"""Goes into a bottle and does one thing there: `python -m bottle_unshare.inside FD`, with a request on the descriptor.

It is the one program of ours that is ever inside. All it needs is imported before it enters: there this machine's
Python may not be found any more.
"""

import encodings.idna
import fcntl
import json
import os
import select
import signal
import socket
import sys
import tarfile
import termios
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from claude_bottle.errors import BottleError
from claude_bottle.seam.tree import pack, read_tree, unpack, write_tree
from msgspec.structs import replace

from bottle_unshare import walls

__all__ = ["NOT_FOUND", "main"]

NEEDED = (encodings.idna, tarfile)
"""What the name of a host and a tree import on their first use."""

Request = dict[str, Any]

NOT_FOUND = 44
PATIENCE = 2.0
NO_PROGRAM, NOT_EXECUTABLE = 127, 126


def begin(request: Request) -> NoReturn:
    """Make a bottle: new namespaces, a listener in them, and a PID 1 that does nothing but hold the environment."""
    walls.separate(request["uid"])
    channel = socket.socket(fileno=request["channel"])
    channel.set_inheritable(False)  # it closes as PID 1 becomes what it is: the launch waits for that
    processes = os.open("/proc", os.O_RDONLY)
    if child := os.fork():
        channel.close()
        sys.exit(ended(child, request["leash"], processes))
    os.close(processes)
    os.close(request["leash"])
    walls.build_root(request["files"], b64decode(request["bundle"]))
    with socket.create_server(("127.0.0.1", request["port"])) as listener:
        socket.send_fds(channel, [b"ready"], [listener.fileno()])
    os.setsid()
    walls.confine()
    walls.die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps for whoever ignores it, also after exec
    os.execve("/bin/sleep", ["sleep", "infinity"], request["env"])


def run(request: Request) -> NoReturn:
    """Become a command, or a shell that reads a script from a file without a name."""
    os.chdir(walls.WORKSPACE)
    os.setsid()
    if request.get("terminal"):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    argv = request["argv"]
    if not argv:
        fd = os.memfd_create("script", 0)
        os.write(fd, request["script"].encode("utf-8", "surrogateescape"))
        argv = ["/bin/sh", f"/dev/fd/{fd}"]
    walls.die_with_parent()
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ):  # ignored by Python, or before it
        signal.signal(number, signal.SIG_DFL)
    env: Mapping[str, str] = request["env"]
    try:
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        sys.exit(NO_PROGRAM if missing else NOT_EXECUTABLE)


def put(request: Request) -> None:
    """Lay the tar stream on stdin below `path`, whose own parents are no more to be trusted than what is in it."""
    top = request["path"].strip("/")
    entries = (replace(entry, name=f"{top}/{entry.name}") for entry in unpack(sys.stdin.buffer))
    write_tree(entries, Path("/"))


def get(request: Request) -> None:
    """Write what lies at `path` to stdout as a tar stream."""
    if not os.path.lexists(request["path"]):
        sys.exit(NOT_FOUND)
    pack(read_tree(Path(request["path"])), sys.stdout.buffer)


def look(request: Request) -> None:
    """Try connections and names, and write what came of each as JSON."""
    answers = [dialled(host, port, b64decode(words)) for host, port, words in request["dials"]]
    resolved = [known(name) for name in request["names"]]
    json.dump(
        {"answers": [it if it is None else b64encode(it).decode() for it in answers], "resolved": resolved}, sys.stdout
    )


def dialled(host: str, port: int, words: bytes) -> bytes | None:
    """Return the first bytes that come back from an address, None if there is no connection."""
    with suppress(OSError), socket.create_connection((host, port), PATIENCE) as peer:
        with suppress(OSError):
            peer.sendall(words)
            return peer.recv(4096)
        return b""
    return None


def known(name: str) -> bool:
    """Say whether the resolver in here knows a name."""
    with suppress(OSError):
        return bool(socket.getaddrinfo(name, None))
    return False


def ended(child: int, leash: int, processes: int) -> int:
    """Wait for a child, and return its exit code as a shell has it: 128 and its number for a signal.

    When the leash is let go first, all of its session is killed, in whatever process groups. `processes` is this
    machine's /proc, opened before we went in.
    """
    pidfd = os.pidfd_open(child)
    ready, _, _ = select.select([pidfd, leash], [], [])
    if pidfd not in ready:
        while members := session(child, processes):
            for pid in members:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def session(leader: int, processes: int) -> list[int]:
    """Return the processes of a session that live."""
    found: list[int] = []
    for name in os.listdir(processes):
        with suppress(OSError, ValueError):
            fd = os.open(f"{int(name)}/stat", os.O_RDONLY, dir_fd=processes)
            state, _, _, session, *_ = os.read(fd, 4096).rpartition(b")")[2].split()
            os.close(fd)
            if int(session) == leader and state not in b"ZX":
                found.append(int(name))
    return found


VERBS: Mapping[str, Callable[[Request], None]] = {"run": run, "put": put, "get": get, "look": look}


def main() -> None:
    """Do what the request says."""
    with os.fdopen(int(sys.argv[1])) as file:
        request: Request = json.load(file)
    if request["verb"] == "begin":
        begin(request)
    walls.hide()
    processes = os.open("/proc", os.O_RDONLY)
    walls.enter(request["pid"])
    if request["verb"] == "trust":
        walls.replace_bundle(sys.stdin.buffer.read())
        return
    if child := os.fork():  # only a child is in the process namespace, too
        sys.exit(ended(child, request["leash"], processes))
    os.close(processes)
    os.close(request["leash"])
    walls.confine()
    try:
        VERBS[request["verb"]](request)
        sys.stdout.flush()
    except (OSError, BottleError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
