"""The user's own terminal: whether there is one, its state, its size, and writing to it whole."""

import os
import select
import signal
import termios
import threading
import tty
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

from claude_bottle.seam.hearing import heard

__all__ = ["STDERR", "STDIN", "STDOUT", "Write", "has_terminal", "raw", "resizing", "terminal_variables"]

STDIN, STDOUT, STDERR = 0, 1, 2


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
        """Write all of it; BrokenPipeError once nobody reads it any more."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:  # whoever started us may have made it so
                select.select([], [self._fd], [])


@contextmanager
def raw(fd: int, leaving: Callable[[], object] = lambda: None) -> Generator[None]:
    """Make a terminal raw, and put it back, also when a signal is about to end us: then `leaving` is called, too."""
    saved = termios.tcgetattr(fd)

    def restore() -> None:
        with suppress(termios.error):  # it may be gone
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
        yield


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
