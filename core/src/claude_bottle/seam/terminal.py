"""The user's own terminal: whether there is one, its state, its size, and writing to it whole."""

import os
import re
import select
import signal
import termios
import threading
import tty
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

from claude_bottle.errors import BottleError, ClosedError
from claude_bottle.seam.hearing import heard

__all__ = ["STDERR", "STDIN", "STDOUT", "Screen", "Write", "has_terminal", "raw", "resizing", "terminal_variables"]

STDIN, STDOUT, STDERR = 0, 1, 2

USUAL: Mapping[int, bool] = {
    **dict.fromkeys((1, 9, 47, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1049, 2004), False),
    **dict.fromkeys((7, 25), True),
}
"""What a terminal's private modes are while a shell has it: no mouse, no second screen, a cursor (xterm's ctlseqs)."""

CHANGES = re.compile(rb"\x1b\[(?:\?([0-9;]+)([hl])|([<>])([0-9]*)u|>4(;[0-9]+)?m)")
PARTIAL = re.compile(rb"\x1b(?:\[[?<>]?[0-9;]{0,30})?\Z")
"""The beginning of such a change, at the end of what has come so far."""


def has_terminal() -> bool:
    """Say whether both our stdin and stdout are terminals."""
    return os.isatty(STDIN) and os.isatty(STDOUT)


def terminal_variables() -> Mapping[str, str]:
    """Return the variables that say what our terminal can do."""
    return {name: os.environ[name] for name in ("TERM", "COLORTERM") if name in os.environ}


class Write:
    """A sink that writes everything to a descriptor, whether that blocks or not."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __call__(self, data: bytes) -> None:
        """Write all of it; ClosedError once nobody reads it any more, BottleError if it cannot be written."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:  # whoever started us may have made it so
                select.select([], [self._fd], [])
            except BrokenPipeError as error:
                raise ClosedError("nobody reads the output any more") from error
            except OSError as error:
                raise BottleError(f"the output cannot be written: {error.strerror}", "look where it goes") from error


class Screen(Write):
    """A terminal that is written to, and what was switched on it: a program that is killed switches nothing back."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._rest = b""
        self._modes: dict[int, bool] = {}
        self._keyboards = 0
        self._keys = False

    def __call__(self, data: bytes) -> None:
        """Write all of it, as `Write` does."""
        super().__call__(data)
        text = self._rest + data
        for mode, switch, keyboard, times, keys in CHANGES.findall(text):
            if mode:
                self._note(mode, on=switch == b"h")
            elif keyboard:
                self._keyboards = max(0, self._keyboards + (1 if keyboard == b">" else -int(times or 1)))
            else:
                self._keys = keys not in (b"", b";0")
        partial = PARTIAL.search(text)
        self._rest = partial.group() if partial else b""

    def _note(self, modes: bytes, *, on: bool) -> None:
        for mode in (int(word) for word in modes.split(b";") if word):
            self._modes.pop(mode, None)
            if mode in USUAL and USUAL[mode] is not on:
                self._modes[mode] = on

    def tidy(self) -> None:
        """Switch back what is not as usual, the last first; nothing is written where all is."""
        keyboard = b"\x1b[<%du" % self._keyboards if self._keyboards else b""
        keys = b"\x1b[>4m" if self._keys else b""
        modes = b"".join(b"\x1b[?%d%c" % (mode, b"hl"[on]) for mode, on in reversed(self._modes.items()))
        if undo := keyboard + keys + modes:
            self(b"\x1b[0m" + undo)


@contextmanager
def raw(fd: int, leaving: Callable[[], object] = lambda: None) -> Generator[Screen]:
    """Make a terminal raw and yield the screen to write to; put both back as they were.

    Also when a signal is about to end us: then `leaving` is called, too.
    """
    screen = Screen(STDOUT)
    saved = termios.tcgetattr(fd)

    def restore() -> None:
        with suppress(BottleError):  # it may be gone
            screen.tidy()
        with suppress(termios.error):  # as above
            termios.tcsetattr(fd, termios.TCSADRAIN, saved)

    def leave(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        restore()
        leaving()
        os.kill(os.getpid(), number)

    with ExitStack() as stack:
        stack.callback(restore)
        if threading.current_thread() is threading.main_thread():
            # Where they are not the default's, someone above us unwinds the stack.
            ours = [it for it in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(it) is signal.SIG_DFL]
            for number in ours:
                signal.signal(number, leave)
                stack.callback(signal.signal, number, signal.SIG_DFL)
            if ours:
                stack.enter_context(heard(ours))
        tty.setraw(fd, termios.TCSADRAIN)
        yield screen


@contextmanager
def resizing(resize_to: Callable[[int, int], None]) -> Generator[None]:
    """Tell the size of our terminal (lines, columns) whenever it changes. Outside the main thread nothing is told."""

    def resize(_number: int = 0, _frame: FrameType | None = None) -> None:
        size = os.get_terminal_size(STDIN)
        resize_to(size.lines, size.columns)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGWINCH, resize)
    try:
        resize()  # it may have changed since it was asked for
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
