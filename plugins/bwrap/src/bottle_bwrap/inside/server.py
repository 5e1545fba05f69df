"""PID 1 of a bottle: makes the listener, hands it out, then runs what its launcher asks for.

It is undumpable before anything of the agent runs, so that no process beside it can trace it or read its
descriptors, and as PID 1 no signal from inside ends it. When the launcher's end of the control socket is
closed it exits, and the kernel ends every process of its namespace.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import sys
from typing import Any, Callable, Sequence  # noqa: UP035 - see wire.py

from bottle_bwrap.inside.wire import DESCRIPTORS, close_all, receive, send

__all__ = ["main"]

PR_SET_DUMPABLE = 4
OOM_SCORE = b"500"  # the host's own processes are not the first to go when memory runs out
SCRIPT_FD = 3


def main() -> None:
    """Serve until the launcher's end of the control socket is closed. Arguments: its descriptor, port, processes."""
    descriptor, port, processes = (int(word) for word in sys.argv[1:4])
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, 1 << 16)
    control = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - positional in the library
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # with a handler, PID 1 would take it from anyone inside
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        send(control, b"listening", [listener.fileno()])
    confine()
    Server(control, processes).serve()


def confine() -> None:
    """Take what is left to take from ourselves, and refuse to serve in a sandbox that is not the one asked for."""
    with open("/proc/self/oom_score_adj", "wb", buffering=0) as file:  # noqa: PTH123 - pathlib costs 5 ms here
        file.write(OOM_SCORE)
    # One byte: a core of that size is never written, and unlike 0 it also stops a core_pattern that is a
    # pipe to a program of the host (do_coredump in fs/coredump.c).
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - as above
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    wanted = {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0" * 16, "CapPrm": "0" * 16, "CapBnd": "0" * 16}
    wrong = [f"{name} is {status.get(name)}" for name, value in wanted.items() if status.get(name) != value]
    if wrong or os.getpid() != 1:
        sys.exit("the sandbox is not confined: " + ", ".join(wrong))
    import ctypes  # noqa: PLC0415 - after the listener is out, where its import costs nobody time

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        sys.exit("the agent server cannot be made undumpable")


class Server:
    """The running children, each with the socket on which its exit code is awaited."""

    def __init__(self, control: socket.socket, processes: int) -> None:
        self.control = control
        self.processes = processes
        self.environment: dict[str, str] = {}
        self.replies: dict[int, socket.socket] = {}
        self.leaders: dict[int, int] = {}
        self.poll = select.poll()

    def serve(self) -> None:
        """Answer requests, reap, and kill what is no longer awaited, until the control socket ends."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, awake)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self.poll.register(self.control, select.POLLIN)
        self.poll.register(reader, select.POLLIN)
        while True:
            for fd, _ in self.poll.poll():
                if fd == self.control.fileno():
                    self.answer()
                elif fd == reader:
                    os.read(reader, 4096)
                    self.reap()
                elif fd in self.leaders:
                    kill_session(self.leaders[fd])
                    self.forget(self.leaders[fd])

    def answer(self) -> None:
        """Carry out one request; what fails is said on its reply socket and never ends the server."""
        try:
            _, fds, _ = receive(self.control, DESCRIPTORS)
        except (EOFError, OSError):
            os._exit(0)
        if len(fds) not in {2, DESCRIPTORS}:
            close_all(fds)
            return
        reply = socket.socket(fileno=fds[0])
        try:
            self.begin(read_payload(fds[1]), reply, fds[2:])
        except Exception as error:  # noqa: BLE001 - whatever it is, the other commands must go on
            finish(reply, {"error": f"{type(error).__name__}: {error}"[:500]})
        finally:
            close_all(fds[1:])

    def begin(self, request: dict[str, Any], reply: socket.socket, stdio: Sequence[int]) -> None:
        """Start what a request asks for, or take the environment that all commands have."""
        if request["op"] == "environment":
            self.environment = request["env"]
            finish(reply, {"rc": 0})
        elif request["op"] == "terminal":
            self.begin_terminal(request, reply)
        elif request["op"] == "listen":
            listen(request["path"], reply)
        else:
            self.fork(request, reply, stdio, terminal=False)

    def begin_terminal(self, request: dict[str, Any], reply: socket.socket) -> None:
        """Open a terminal in here, start the command on it, and send its master out."""
        import fcntl  # noqa: PLC0415 - needed for terminals alone
        import struct  # noqa: PLC0415
        import termios  # noqa: PLC0415

        master, slave = os.openpty()
        try:
            rows, columns = request["size"]
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            send(reply, b"{}", [master])
            self.fork(request, reply, [slave] * 3, terminal=True)
        finally:
            close_all([master, slave])

    def fork(self, request: dict[str, Any], reply: socket.socket, stdio: Sequence[int], *, terminal: bool) -> None:
        """Start one child in a session of its own."""
        pid = os.fork()
        if pid == 0:
            code = 126
            try:
                enter_session(stdio, terminal=terminal)
                code = self.run(request)
            except BaseException as error:  # noqa: BLE001 - a child must never return into the server's loop
                os.write(2, f"bottle: {type(error).__name__}: {error}\n".encode("utf-8", "replace"))
            finally:
                os._exit(code)
        self.replies[pid] = reply
        self.leaders[reply.fileno()] = pid
        self.poll.register(reply, select.POLLIN)

    def run(self, request: dict[str, Any]) -> int:
        """Become the command of a request; in the child. Returns an exit code where that is not possible."""
        os.chdir(request.get("cwd") or "/")
        resource.setrlimit(resource.RLIMIT_NPROC, (self.processes, self.processes))
        argv: list[str] = request.get("argv") or []
        if request["op"] == "call":
            os.closerange(3, 1 << 16)
            return call(request)
        if "script" in request:
            argv = ["/bin/sh", f"/dev/fd/{SCRIPT_FD}"]
            open_script(request["script"])
        os.closerange(SCRIPT_FD + ("script" in request), 1 << 16)
        return execute(argv, {**self.environment, **request["env"]})

    def reap(self) -> None:
        """Collect every child that ended, orphans too, and report the exit codes that someone awaits."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.replies:
                code = os.waitstatus_to_exitcode(status)
                reply = self.forget(pid)
                finish(reply, {"rc": code if code >= 0 else 128 - code})

    def forget(self, pid: int) -> socket.socket:
        """Await a child no longer; returns its reply socket."""
        reply = self.replies.pop(pid)
        self.poll.unregister(reply)
        del self.leaders[reply.fileno()]
        return reply


def listen(path: str, reply: socket.socket) -> None:
    """Make a unix listener in the place of what is at `path`, and send it out: who connects talks to the launcher."""
    with reply, socket.socket(socket.AF_UNIX) as listener:
        if os.path.lexists(path):
            os.unlink(path)  # noqa: PTH108 - pathlib costs 5 ms here
        listener.bind(path)
        listener.listen(32)
        send(reply, b"{}", [listener.fileno()])


def awake(_number: int, _frame: object) -> None:
    """Do nothing: that a handler is there is what writes to the wake-up descriptor."""


def read_payload(fd: int) -> dict[str, Any]:
    """Return the request in a memfd; JSON, of any size."""
    import json  # noqa: PLC0415 - after the listener is out, where its import costs nobody time

    with open(os.dup(fd), "rb") as file:  # noqa: PTH123 - a descriptor has no path
        file.seek(0)
        return json.loads(file.read())


def finish(reply: socket.socket, answer: dict[str, Any]) -> None:
    """Say how a request ended; nobody may be there any more to hear it."""
    import json  # noqa: PLC0415

    with reply:
        try:
            send(reply, json.dumps(answer).encode())
        except OSError:
            return


def enter_session(stdio: Sequence[int], *, terminal: bool) -> None:
    """In the child: a session, the three streams and default signals of its own."""
    os.setsid()
    if terminal:
        import fcntl  # noqa: PLC0415
        import termios  # noqa: PLC0415

        fcntl.ioctl(stdio[0], termios.TIOCSCTTY, 0)
    for number, fd in enumerate(stdio):
        os.dup2(fd, number)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)


def open_script(script: str) -> None:
    """Put a script on SCRIPT_FD, from which the shell reads it while stdin stays the command's own.

    The shell has it open under another number by then, so the script's first word closes ours.
    """
    fd = os.memfd_create("script", 0)
    with open(fd, "wb", closefd=False) as file:
        file.write(f"exec {SCRIPT_FD}<&-; ".encode() + script.encode("utf-8", "surrogateescape"))
    if fd != SCRIPT_FD:
        os.dup2(fd, SCRIPT_FD)


def execute(argv: list[str], environment: dict[str, str]) -> int:
    """Replace this process; 127 if there is no such program, 126 if it cannot be run."""
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - a shell where one was asked for
    except (FileNotFoundError, NotADirectoryError):
        os.write(2, f"bottle: {argv[0]}: not found\n".encode("utf-8", "replace"))
        return 127
    except OSError as error:
        os.write(2, f"bottle: {argv[0]}: {error.strerror}\n".encode("utf-8", "replace"))
    return 126


def call(request: dict[str, Any]) -> int:
    """Run one of our own functions as a command, in the child."""
    from bottle_bwrap.inside import calls  # noqa: PLC0415 - imported where it runs, never in PID 1

    functions: dict[str, Callable[[dict[str, Any]], int]] = {
        "look": calls.look,
        "put": calls.put,
        "get": calls.get,
    }
    return functions[request["call"]](request)


def session_of(pid: str) -> int:
    """Return the session of a process that lives; -1 if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as above
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return -1
    return -1 if fields[0] in "ZX" else int(fields[3])


def kill_session(leader: int) -> None:
    """Kill every process of a session, those that are forked meanwhile too."""
    for _ in range(50):
        members = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and session_of(pid) == leader]  # noqa: PTH208
        if not members:
            return
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        select.select([], [], [], 0.001)
