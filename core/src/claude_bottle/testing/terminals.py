"""`Bottle.attach`: a terminal in a bottle, driven through a pseudo-terminal as a user would; the pipes without one."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Generator, Sequence

import pytest

from claude_bottle.seam.bottle import Bottle
from claude_bottle.testing.commands import no_process
from claude_bottle.testing.ground import Ground

__all__ = ["TerminalContract"]

# What `bottle attach` does, as a process of its own whose controlling terminal is the one on stdin.
ATTACH = """
import fcntl, os, sys, termios
if os.isatty(0):
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from importlib.metadata import EntryPoint
found, = (it for it in EntryPoint("", sys.argv[1], "").load().impl.list_bottles() if it.name == sys.argv[2])
code = found.attach(sys.argv[3:])
print(f"code={code}", file=sys.stderr)
"""


class User:
    """A user at a terminal: types, reads the screen, changes the window."""

    def __init__(self, target: str, name: str, argv: Sequence[str], env: dict[str, str] | None = None) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(24, 80)
        self.before = termios.tcgetattr(self.slave)
        self.screen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", ATTACH, target, name, *argv],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env={**os.environ, "TERM": "xterm-256color", **(env or {})},
        )

    def resize(self, rows: int, columns: int) -> None:
        """Give the window another size; the kernel sends SIGWINCH."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.master, keys)

    def see(self, pattern: bytes, timeout: float = 10) -> re.Match[bytes]:
        """Wait until the screen shows a pattern after what was seen last, while the command runs."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.screen)):
            ended = self.process.poll() is not None  # asked first: what it wrote before its end is there to be read
            if select.select([self.master], [], [], 0.05)[0]:
                self.screen += os.read(self.master, 1 << 16)
            elif ended or time.monotonic() > deadline:
                raise AssertionError(f"{pattern!r} does not appear in {self.screen[-2000:]!r}")
        self.screen = self.screen[found.end() :]
        return found

    def leave(self) -> int:
        """Wait for the end and return the exit code that was reported."""
        code = int(self.see(rb"code=(\d+)")[1])
        self.process.wait(10)
        return code

    def close(self) -> None:
        """Hang up."""
        self.process.kill()
        self.process.wait()
        os.close(self.slave)
        os.close(self.master)


PROMPT = rb"bash-[0-9.]+\$ "


FULL_SCREEN = r"""
saved=$(stty -g); stty raw -echo
printf '\033[?1049h\033[2J\033[Hfull screen'
key=$(dd bs=16 count=1 2>/dev/null | od -A n -t x1)
printf '\033[?1049l%s' "$key"; stty "$saved"
"""


FOLLOWED = """
import os, sys, time
from importlib.metadata import EntryPoint
found, = (it for it in EntryPoint("", sys.argv[1], "").load().impl.list_bottles() if it.name == sys.argv[2])
found.attach(["true"])
print("ended", file=sys.stderr, flush=True)
time.sleep(0.3)
print(os.read(0, 16).decode())
"""


class TerminalContract:
    """What `attach` promises."""

    @pytest.fixture
    def sit_down(self, walls: None, ground: Ground, bottle: Bottle) -> Generator[Callable[..., User]]:
        """Attach to the shared bottle: `sit_down(*argv)`."""
        with contextlib.ExitStack() as stack:

            def begin(*argv: str) -> User:
                user = User(ground.target, bottle.name, argv)
                stack.callback(user.close)
                return user

            yield begin

    def test_a_command_has_a_terminal_of_its_own(self, sit_down: Callable[..., User]) -> None:
        """It is opened inside: it has a name there, a size, our TERM, and it is the controlling one."""
        user = sit_down("sh", "-c", "tty; stty size; echo $TERM; : > /dev/tty && echo controlling; exit 5")
        user.see(rb"/dev/pts/0\r\n24 80\r\nxterm-256color\r\ncontrolling\r\n")
        assert user.leave() == 5

    def test_the_size_follows_the_window(self, sit_down: Callable[..., User]) -> None:
        """SIGWINCH reaches the program inside, with the new size."""
        user = sit_down("sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done")
        user.see(rb"ready")
        user.resize(50, 132)
        user.see(rb"50 132")
        user.type(b"\x03")
        assert user.leave() == 130

    def test_control_c_interrupts_the_command_and_not_us(self, sit_down: Callable[..., User]) -> None:
        """The key is the inner terminal's: the job in front dies, the shell behind it goes on."""
        user = sit_down("bash", "--norc", "-i")
        user.see(PROMPT)
        user.type(b"sh -c 'echo up$((1+1)); exec sleep 100'\r")
        user.see(rb"up2\r\n")
        user.type(b"\x03")
        user.see(PROMPT)
        user.type(b"echo code $?; exit 3\r")
        user.see(rb"code 130\r\n")
        assert user.leave() == 3

    def test_job_control_works(self, sit_down: Callable[..., User]) -> None:
        """Ctrl-Z stops, `jobs` lists, `fg` resumes, Ctrl-D ends the input."""
        user = sit_down("bash", "--norc", "-i")
        user.see(PROMPT)
        user.type(b"echo up$((1+1)); cat\r")
        user.see(rb"up2\r\n")
        user.type(b"first\r")
        user.see(rb"first\r\nfirst\r\n")
        user.type(b"\x1a")
        user.see(rb"Stopped +cat\r\n")
        user.see(PROMPT)
        user.type(b"jobs\r")
        user.see(rb"Stopped +cat\r\n")
        user.see(PROMPT)
        user.type(b"fg\r")
        user.see(rb"\rcat\r\n")
        user.type(b"second\r")
        user.see(rb"second\r\nsecond\r\n")
        user.type(b"\x04")
        user.see(PROMPT)
        user.type(b"exit 4\r")
        assert user.leave() == 4

    def test_full_screen_programs_work(self, sit_down: Callable[..., User]) -> None:
        """Escape sequences pass both ways unchanged, a cursor key is one key."""
        user = sit_down("sh", "-c", FULL_SCREEN)
        user.see(re.escape(b"\x1b[?1049h\x1b[2J\x1b[Hfull screen"))
        user.type(b"\x1b[A")
        user.see(re.escape(b"\x1b[?1049l 1b 5b 41"))
        assert user.leave() == 0

    def test_a_long_paste_and_a_long_output_pass_at_once(self, sit_down: Callable[..., User]) -> None:
        """Neither direction waits for the other: what is pasted while nobody reads is kept."""
        generate = "head -c 2000000 /dev/zero | tr '\\0' y"
        user = sit_down("sh", "-c", f"stty raw -echo; echo ready; sleep 0.5; head -c 200000 | cksum; {generate}")
        user.see(rb"ready")
        data, sent = b"0123456789" * 20_000, 0
        os.set_blocking(user.master, False)
        while sent < len(data):
            if select.select([], [user.master], [], 10)[1]:
                with contextlib.suppress(BlockingIOError):
                    sent += os.write(user.master, data[sent : sent + 4096])
        os.set_blocking(user.master, True)
        expected = subprocess.run(["cksum"], input=data, capture_output=True, check=True).stdout.strip()
        user.see(re.escape(expected))
        user.see(b"y{2000000}", timeout=30)
        assert user.leave() == 0

    def test_the_terminal_is_restored(self, sit_down: Callable[..., User]) -> None:
        """Whatever the command did, and while it runs ours is raw."""
        user = sit_down("sh", "-c", "echo ready; read x; stty -echo raw; exit 1")
        user.see(rb"ready")
        assert termios.tcgetattr(user.slave) != user.before
        user.type(b"\r")
        assert user.leave() == 1
        assert termios.tcgetattr(user.slave) == user.before

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_the_terminal_is_restored_when_we_are_killed(
        self, bottle: Bottle, sit_down: Callable[..., User], number: int
    ) -> None:
        """A signal that ends us ends us, after the terminal is as it was; what the command began goes with us."""
        user = sit_down("sh", "-c", "sleep 4710 & echo ready; exec sleep 4711")
        user.see(rb"ready")
        user.process.send_signal(number)
        assert user.process.wait(10) == -number
        assert termios.tcgetattr(user.slave) == user.before
        assert no_process(bottle, "sleep 471")

    def test_the_command_ends_with_its_terminal(
        self, bottle: Bottle, sit_down: Callable[..., User], lack: Callable[[str], None]
    ) -> None:
        """When the user's side is killed outright, nothing of the session stays behind."""
        lack("hang-up")
        user = sit_down("bash", "--norc", "-i")
        user.type(b"sleep 4712 & sleep 4713\r")
        user.see(rb"\[1\] \d+")
        user.process.kill()
        user.process.wait()
        assert no_process(bottle, "sleep 471")

    def test_a_command_that_closes_its_terminal_is_awaited(self, sit_down: Callable[..., User]) -> None:
        """The exit code is the command's, however early it lets go of the screen."""
        user = sit_down("sh", "-c", "exec > /dev/null 2>&1 < /dev/null; sleep 1.5; exit 6")
        assert user.leave() == 6

    def test_without_a_terminal_there_are_three_pipes(self, ground: Ground, bottle: Bottle) -> None:
        """Byte for byte in all three, 50 MB of them, and no terminal inside either."""
        data = os.urandom(1 << 20) * 50
        script = "test -t 0 || test -t 1 || echo none >&2; cat; exit 9"
        done = subprocess.run(
            [sys.executable, "-c", ATTACH, ground.target, bottle.name, "sh", "-c", script],
            input=data,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.stdout == data
        assert done.stderr == b"none\ncode=9\n"

    @pytest.mark.usefixtures("walls")
    def test_our_own_files_never_enter(self, ground: Ground, bottle: Bottle) -> None:
        """What stands on our stdin and stdout is relayed: a descriptor of a host file could be opened anew inside."""
        with open(__file__, "rb") as source:  # noqa: PTH123 - a descriptor is what this is about
            script = "readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2"
            done = subprocess.run(
                [sys.executable, "-c", ATTACH, ground.target, bottle.name, "sh", "-c", script],
                stdin=source,
                capture_output=True,
                check=True,
                timeout=60,
            )
        assert [line.partition(b":")[0] for line in done.stdout.split()] == [b"pipe"] * 3

    def test_input_that_follows_is_left_alone(self, ground: Ground, bottle: Bottle) -> None:
        """Once the command has ended, nothing more is taken from our stdin."""
        piped = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with subprocess.Popen(
            [sys.executable, "-c", FOLLOWED, ground.target, bottle.name], text=True, **piped
        ) as process:
            assert process.stderr is not None
            assert process.stderr.readline() == "ended\n"
            said, _ = process.communicate("later", timeout=20)
        assert said == "later\n"
