"""OpenSSH's own ssh-agent, outside the bottle, for one bottle: it holds the keys, each for its destinations alone."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bottle_ssh.wire import list_keys
from claude_bottle.errors import LaunchError
from claude_bottle.seam.folders import private_dir, runtime_dir

__all__ = ["KeyAgent", "dial"]

SOCKET = "agent"
KNOWN = "known_hosts"
PATIENCE = 5.0  # seconds for the agent to be there, and to end
ADDING = 60.0  # seconds for one key: a slow machine derives it from the passphrase

# The agent's parent waits for the end of its stdin, which is our process, whatever becomes of it: then the agent ends,
# with the keys in its memory, and the folder goes.
WATCH = f'ssh-agent -D -a "$0/{SOCKET}" >/dev/null & read -r _; kill $!; wait; rm -rf -- "$0"'


class KeyAgent:
    """A running agent. Only this user can reach its socket, and the agent talks to nobody else."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ssh-", dir=private_dir(runtime_dir())))
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", WATCH, str(self._folder)],
            env=environment(),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the terminal's Ctrl-C is for us
        )

    def await_start(self) -> None:
        """Wait until it answers; LaunchError if it does not."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(OSError), self.connect():
                return
            time.sleep(0.01)
        raise LaunchError("ssh-agent did not start", "run ssh-agent -D by hand to see why")

    def connect(self) -> socket.socket:
        """Return a connection to it."""
        return dial(self._folder / SOCKET)

    @property
    def door(self) -> Path:
        """Where ssh-add finds it."""
        return self._folder / SOCKET

    def add(
        self, path: Path, destinations: Sequence[str], known_hosts: str, passphrase: str | None = None
    ) -> frozenset[bytes]:
        """Load a key, to be used for `USER@HOST` alone, and return its blobs: the key's, and its certificate's.

        `known_hosts` is the text that says by which keys these hosts are known. LaunchError with what ssh-add says.
        """
        if not destinations:  # to ssh-add none are all
            raise ValueError("a key is for a destination")
        before = self._blobs()
        (self._folder / KNOWN).write_text(known_hosts, encoding="utf-8")
        limits = [word for destination in destinations for word in ("-h", destination)]
        argv = ["ssh-add", "-q", *limits, "-H", str(self._folder / KNOWN), "--", str(path)]
        with answering(passphrase) as variables:
            done = subprocess.run(
                argv,
                env={**environment(), "SSH_AUTH_SOCK": str(self.door), **variables},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                start_new_session=True,  # without a terminal to ask on
                timeout=ADDING,
                check=False,
            )
        if done.returncode:
            why = "the passphrase is wrong" if passphrase is not None else last_line(done.stderr)
            raise LaunchError(f"the key {path} could not be loaded: {why}")
        added = self._blobs() - before
        if not added:
            raise LaunchError(f"{path} is a key that another entry has by another path", "name it by one path")
        return added

    def close(self) -> None:
        """End it and remove its folder. Idempotent."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _blobs(self) -> frozenset[bytes]:
        with self.connect() as connection:
            return frozenset(list_keys(connection))


def dial(path: Path) -> socket.socket:
    """Return a connection to an agent's socket."""
    with ExitStack() as failing:
        connection = failing.enter_context(socket.socket(socket.AF_UNIX))
        connection.connect(os.fspath(path))
        failing.pop_all()
    return connection


def environment() -> Mapping[str, str]:
    """Return what OpenSSH's programs get of our variables."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def last_line(stderr: bytes) -> str:
    """Return the last line that a program wrote, cut short."""
    return stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:300] or "ssh-add says nothing"


@contextmanager
def answering(passphrase: str | None) -> Generator[Mapping[str, str]]:
    """Yield variables by which ssh-add gets a passphrase: it is in a pipe of ours, in no file, argv or variable.

    ssh-add runs a program to ask. Ours is a script in memory, so that no folder needs to allow programs.
    """
    if passphrase is None:
        yield {"SSH_ASKPASS_REQUIRE": "never"}
        return
    reading, writing = os.pipe()
    try:
        with open(writing, "wb") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(passphrase.encode() + b"\n")
        script = program(f"#!/bin/sh\nexec cat /proc/{os.getpid()}/fd/{reading}\n")
        try:
            yield {"SSH_ASKPASS": f"/proc/{os.getpid()}/fd/{script}", "SSH_ASKPASS_REQUIRE": "force"}
        finally:
            os.close(script)
    finally:
        os.close(reading)


def program(text: str) -> int:
    """Return a descriptor of a program in memory, read-only: the kernel runs none that could still be written."""
    writable = os.memfd_create("askpass", os.MFD_CLOEXEC)
    try:
        os.write(writable, text.encode())
        return os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)
