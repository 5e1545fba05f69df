"""A sandbox that runs: bubblewrap, the agent server as its PID 1, and the listener made inside."""

import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bottle_bwrap import interpreter, program
from bottle_bwrap.command import SMALL, Layout, sandbox_command
from bottle_bwrap.etc import HOME, WORKSPACE, etc_files
from bottle_bwrap.inside.wire import close_all, receive
from bottle_bwrap.memfd import sealed
from bottle_bwrap.programs import Installed
from bottle_bwrap.section import BwrapSection, bytes_of
from bottle_bwrap.trust import TrustFiles
from claude_bottle.errors import LaunchError, UnavailableError
from claude_bottle.seam.part import Mount

__all__ = ["PORT", "Content", "Sandbox", "login_shell", "start_sandbox"]

PORT = 3128
"""Where the proxy is found inside, on 127.0.0.1."""

START = 10.0  # seconds until the listener must be there
END = 5.0  # seconds that a killed namespace may take
PLACE = "/.bottle"


class Content(NamedTuple):
    """What is bound in: the files in which programs look for a CA, the agent's programs, the plan's mounts."""

    trust: TrustFiles
    programs: Sequence[Installed] = ()
    mounts: Sequence[Mount] = ()


class Sandbox:
    """One running namespace. `pid` is its PID 1 as this machine counts."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, words: int) -> None:
        self.process = process
        self.control = control
        self.pid = 0
        self.listener: socket.socket | None = None
        self._pidfd = -1
        self._words = words

    def accept_listener(self) -> None:
        """Wait for the listening socket; LaunchError with bubblewrap's own words if there is none."""
        self.control.settimeout(START)
        with self.explaining():
            _, fds, self.pid = receive(self.control)
            self._pidfd = os.pidfd_open(self.pid)
        self.control.settimeout(None)
        if len(fds) != 1:
            close_all(fds)
            raise LaunchError("the sandbox sent no listener")
        self.listener = socket.socket(fileno=fds[0])
        if self.listener.getsockname() != ("127.0.0.1", PORT):
            raise LaunchError("the sandbox sent a listener that was not asked for")

    @contextmanager
    def explaining(self) -> Generator[None]:
        """Turn what is met when a sandbox ends early into what it said itself."""
        try:
            yield
        except (EOFError, OSError, UnavailableError) as error:
            said = self.last_words() or str(error)
            raise LaunchError(f"the sandbox did not start: {said}", "run `bottle doctor`") from error

    def alive(self) -> bool:
        """Say whether it still runs."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """Return what bubblewrap and the agent server wrote to stderr."""
        return os.pread(self._words, 4096, 0).decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Kill everything in it and wait until the last process is gone. Idempotent."""
        self.control.close()
        if self.listener is not None:
            self.listener.close()
        if self._pidfd >= 0:
            kill(self._pidfd)
            self._pidfd = -1
        self.process.kill()
        self.process.wait()
        if self._words >= 0:
            os.close(self._words)
            self._words = -1


def kill(pidfd: int) -> None:
    """Kill a process, wait until it is gone, and close its descriptor."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [], END)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def login_shell() -> str:
    """Return the shell that the agent's account has inside."""
    return "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"


def start_sandbox(
    binary: program.Program,
    section: BwrapSection,
    content: Content,
    uid: int | None,
    processes: int,
) -> Sandbox:
    """Spawn a sandbox without waiting for it.

    With `uid` bubblewrap itself runs as that uid and the group of the same number. LaunchError outside the
    main thread: the kernel ends a bottle with the *thread* that started it.
    """
    if threading.current_thread() is not threading.main_thread():
        raise LaunchError("a bottle can be started from the main thread alone")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    words = os.memfd_create("words", os.MFD_CLOEXEC)
    with ExitStack() as undo, theirs:
        undo.callback(ours.close)
        undo.callback(os.close, words)
        with ExitStack() as stack:
            opened = program.open_program(binary)
            stack.callback(opened.close)
            python = interpreter.find_interpreter()
            if uid is not None and not interpreter.is_reachable(python):
                raise UnavailableError(f"the Python in {python.prefix} is not for every uid", interpreter.CURE)
            layout = open_layout(stack, section, content.trust, python)._replace(
                programs=tuple((each.source, each.place) for each in content.programs),
                commands=tuple(pair for each in content.programs for pair in each.commands),
                mounts=tuple(content.mounts),
            )
            command = (python.path, "-I", "-S", PLACE, str(theirs.fileno()), str(PORT), str(processes))
            fds = (*opened.fds, *layout.data.values(), layout.seccomp, theirs.fileno())
            arguments = sandbox_command(layout, command)
            process = spawn([opened.path, *arguments], env=opened.env, fds=fds, uid=uid, words=words)
        undo.pop_all()
    return Sandbox(process, ours, words)


def spawn(
    argv: Sequence[str], *, env: Mapping[str, str], fds: Sequence[int], uid: int | None, words: int
) -> subprocess.Popen[bytes]:
    """Start bubblewrap with an empty environment: its own is readable inside."""
    return subprocess.Popen(
        argv,
        env=env,
        cwd="/",
        pass_fds=fds,
        stdin=subprocess.DEVNULL,
        stdout=words,
        stderr=words,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
        start_new_session=True,  # the terminal's Ctrl-C is for us: we take it down in order
    )


def open_layout(stack: ExitStack, section: BwrapSection, trust: TrustFiles, python: interpreter.Interpreter) -> Layout:
    """Open everything that goes in; it is closed with `stack`."""
    from claude_bottle.seam import seccomp  # noqa: PLC0415 - builds the filter; not needed by anything but a launch

    def sealed_fd(name: str, data: bytes) -> int:
        fd = sealed(name, data)
        stack.callback(os.close, fd)
        return fd

    data = {
        place: sealed_fd("file", content) for place, content in {**etc_files(login_shell()), **server_files()}.items()
    }
    return Layout(
        data=data,
        trust=trust,
        seccomp=sealed_fd("seccomp", seccomp.program(os.uname().machine)),
        sizes=sizes_of(section),
        prefix=(python.prefix, interpreter.PLACE) if python.prefix else None,
    )


def sizes_of(section: BwrapSection) -> Mapping[str, int]:
    """Return place and size in bytes of every tmpfs."""
    return {
        "/tmp": bytes_of(section.tmp),  # noqa: S108 - places inside
        "/var/tmp": SMALL,  # noqa: S108
        "/dev/shm": SMALL,  # noqa: S108
        "/run": SMALL,
        HOME: bytes_of(section.home),
        WORKSPACE: bytes_of(section.workspace),
    }


def server_files() -> Mapping[str, bytes]:
    """Return place and source of the agent server: this package's `inside`, under its own names."""
    package = Path(__file__).parent
    names = ("__init__.py", "inside/__init__.py", "inside/calls.py", "inside/server.py", "inside/wire.py")
    found = {f"{PLACE}/bottle_bwrap/{name}": (package / name).read_bytes() for name in names}
    return found | {f"{PLACE}/__main__.py": b"from bottle_bwrap.inside.server import main\n\nmain()\n"}
