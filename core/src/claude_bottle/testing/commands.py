"""Commands in a bottle: streams, scripts, environment, exit codes and time limits."""

import hashlib
import io
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from claude_bottle.errors import DeadlineError
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.environ import BUNDLE
from claude_bottle.testing.ground import Ground

__all__ = ["CommandContract", "host_arguments", "host_command_lines", "no_process"]

STANDARD = (1 << 31) - 1
"""The signals 1 to 31 of a mask in `/proc/PID/status`; the others are the C library's, and nobody's."""

WORDS = [
    "",
    " ",
    "-n",
    "--",
    "a b",
    "\n",
    "\t'\"`$(id)\\",
    "*",
    "\u00e9\u4e2d\U0001f37e",
    "\udcff\udc80",
    "x" * 100_000,
]
"""What a shell, an engine's API or a careless encoding would change."""

NAP = f"sleep 70.{os.getpid()}"
"""A command that nobody else on this machine runs."""


def host_command_lines() -> str:
    """Return the command line and environment of every process of this machine that we may read."""
    texts: list[str] = []
    for path in [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]:
        with suppress(OSError):
            texts.append(path.read_bytes().decode("utf-8", "replace"))
    return "\n".join(texts)


def host_arguments() -> bytes:
    """Return the command line of every process of this machine."""
    lines: list[bytes] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_bytes())
    return b"\n".join(lines)


def no_process(bottle: Bottle, words: str) -> bool:
    """Say whether a process with this command line has gone, within five seconds."""
    for _ in range(100):
        if words not in bottle.exec("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout.decode():
            return True
        time.sleep(0.05)
    return False


class CommandContract:
    """What `exec` promises."""

    def test_streams_and_exit_code_are_separate_bytes(self, either: Bottle) -> None:
        """S5: `exec` gives stdout, stderr and the exit code, not a byte changed."""
        result = either.exec("printf '\\377\\000out'; printf 'err\\n' >&2; exit 7")
        assert (result.returncode, result.stdout, result.stderr) == (7, b"\xff\x00out", b"err\n")

    def test_a_script_never_crosses_argv(self, bottle: Bottle) -> None:
        """S5: the script is in no command line, neither inside nor on the host."""
        word = "word-" + os.urandom(8).hex()
        seen = bottle.exec(f"cat /proc/[0-9]*/cmdline | tr '\\0' ' '; sleep 0.2 # {word}")
        assert word.encode() not in seen.stdout
        assert word not in host_command_lines()

    def test_commands_of_a_script_do_not_eat_it(self, either: Bottle) -> None:
        """S5: stdin belongs to the commands, whole, and the script goes on after them."""
        result = either.exec("cat\necho after", stdin=b"input\n")
        assert result.stdout == b"input\nafter\n"
        assert either.exec("cat; echo end").stdout == b"end\n"

    def test_a_script_may_be_of_any_size(self, bottle: Bottle) -> None:
        """S5: neither the size of a message nor that of an argument limits a script."""
        script = "\n".join(f": {number:>100}" for number in range(20_000)) + "\necho done"
        assert bottle.exec(script).stdout == b"done\n"

    @pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xfe\r\n", bytes(range(256))])
    def test_arguments_and_stdin_arrive_as_they_are(self, bottle: Bottle, data: bytes) -> None:
        """Whatever an argument holds, it is one argument; whatever stdin holds, it comes back."""
        shell = 'for word; do printf "%s\\0" "$word"; done; cat'
        result = bottle.exec("", argv=["/bin/sh", "-c", shell, "sh", *WORDS], stdin=data)
        assert result.stdout == b"".join(os.fsencode(word) + b"\0" for word in WORDS) + data

    def test_fifty_megabytes_pass_both_ways(self, either: Bottle) -> None:
        """Nothing is lost, nothing waits for something else, in either direction at once."""
        data = os.urandom(1 << 20) * 50
        result = either.exec("cat; echo done >&2", stdin=io.BytesIO(data))
        assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(data).digest()
        assert result.stderr == b"done\n"

    def test_stdin_that_nobody_reads_is_no_obstacle(self, either: Bottle) -> None:
        """A command that ends without reading its stdin ends at once, however much there is."""
        begin = time.monotonic()
        assert either.exec("echo early", stdin=b"x" * (10 << 20)).stdout == b"early\n"
        assert time.monotonic() - begin < 2

    def test_a_failing_source_of_stdin_ends_the_command(self, bottle: Bottle) -> None:
        """What reads our side of stdin may fail: the error is the caller's, the command is killed."""

        class Broken(io.RawIOBase):
            def read(self, _size: int = -1, /) -> bytes:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            bottle.exec(f"cat; echo whole > /tmp/whole; {NAP}", stdin=Broken())  # pyright: ignore[reportArgumentType] - a stream that fails
        assert no_process(bottle, NAP)
        assert bottle.exec("test -e /tmp/whole").returncode == 1  # a part was not taken for the whole

    @pytest.mark.parametrize(
        ("argv", "code"),
        [
            (["true"], 0),
            (["sh", "-c", "exit 255"], 255),
            (["sh", "-c", "kill -9 $$"], 137),
            (["sh", "-c", "kill -TERM $$"], 143),
            (["no-such-program"], 127),
            (["/etc/passwd/x"], 127),
            (["/etc/passwd"], 126),
            (["/etc"], 126),
        ],
    )
    def test_exit_codes_are_those_of_a_shell(self, bottle: Bottle, argv: list[str], code: int) -> None:
        """The command's own; 128 and the signal's number; 127 if there is no such program, 126 if it is none."""
        result = bottle.exec("", argv=argv)
        assert result.returncode == code
        assert bool(result.stderr) == (code in {126, 127})

    def test_a_command_and_a_script_are_not_both_meant(self, bottle: Bottle) -> None:
        """One of them is a mistake of the caller."""
        with pytest.raises(ValueError, match="one of them"):
            bottle.exec("true", argv=["true"])

    @pytest.mark.usefixtures("walls")
    def test_the_environment_is_the_same_from_every_terminal(self, either: Bottle) -> None:
        """S7: literals, forwarded values, the proxy and the CA are in every command's environment."""
        given = dict(line.split("=", 1) for line in either.exec("env").stdout.decode().splitlines())
        expected = {
            "LITERAL": "plain",
            "FORWARDED": "hidden-5e1f",
            "HOME": "/home/agent",
            "USER": "agent",
            "SSL_CERT_FILE": BUNDLE,
            "PWD": "/workspace",
        }
        assert expected.items() <= given.items()
        assert given["HTTPS_PROXY"] == given["https_proxy"] == given["HTTP_PROXY"]
        assert given["HTTPS_PROXY"].startswith("http://")
        assert "XDG_RUNTIME_DIR" not in given

    def test_no_signal_is_ignored(self, ground: Ground) -> None:
        """A pipe that nobody reads ends who writes to it, and Ctrl-C whom it is for, whatever the launcher ignores."""
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
        try:
            with ground.start(f"signals-{os.getpid()}") as held:
                status = held.bottle.exec("", argv=["cat", "/proc/self/status"]).stdout.decode()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        ignored = int(dict(line.split(":\t", 1) for line in status.splitlines())["SigIgn"], 16)
        assert ignored & STANDARD == 0

    def test_a_call_may_add_variables(self, either: Bottle) -> None:
        """`env` adds to the bottle's environment, for this call alone."""
        assert (
            either.exec("echo $LITERAL $MORE", env={"MORE": "x" * 100_000}).stdout == b"plain " + b"x" * 100_000 + b"\n"
        )
        assert either.exec("echo $MORE").stdout == b"\n"

    def test_a_timeout_kills_all_that_was_started(self, either: Bottle) -> None:
        """DeadlineError in time, and nothing of the command is left, its children in groups of their own neither."""
        begin = time.monotonic()
        with pytest.raises(DeadlineError, match=r"within 0\.3 seconds"):
            either.exec(f"set -m; {NAP} & {NAP} | {NAP}", timeout=0.3)
        assert time.monotonic() - begin < 2
        assert no_process(either, NAP)

    def test_a_background_process_outlives_its_command(self, either: Bottle) -> None:
        """It keeps the pipes open, so their end is not awaited; what was written before is all there."""
        begin = time.monotonic()
        result = either.exec("sleep 61 & echo $!; head -c 300000 /dev/zero | tr '\\0' x")
        assert time.monotonic() - begin < 3
        pid, _, rest = result.stdout.partition(b"\n")
        assert rest == b"x" * 300_000
        assert either.exec(f"kill {pid.decode()}").returncode == 0

    @pytest.mark.usefixtures("walls")
    def test_orphans_are_reaped(self, bottle: Bottle) -> None:
        """PID 1 leaves no zombies behind."""
        bottle.exec("for i in 1 2 3 4 5; do (sleep 0.01 &) ; done; sleep 0.1")
        assert b"Z" not in bottle.exec("cut -d ' ' -f 3 /proc/[0-9]*/stat").stdout
