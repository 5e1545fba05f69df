"""Signals that are heard although they come at a bad moment."""

import signal
import socket
import threading
from collections.abc import Collection, Generator
from contextlib import contextmanager
from types import FrameType

__all__ = ["heard"]

AGAIN = 0.1
"""Seconds after which the main thread is called out of whatever it waits in."""

CALL = signal.SIGURG
"""What it is called with: nobody uses it, and by default it does nothing."""


@contextmanager
def heard(numbers: Collection[int]) -> Generator[None]:
    """See to it that the handlers of these signals run soon. Outside the main thread this does nothing.

    Python notes a signal and runs its handler between two steps of the main thread. One that comes just before that
    thread blocks in a call, or to another thread, is handled only when the call returns, which may be never. So
    a thread learns of each at once, and calls the main thread out of its call a moment later.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ears, mouth = socket.socketpair()
    mouth.settimeout(0)
    main, over = threading.get_ident(), threading.Event()

    def listen() -> None:
        while data := ears.recv(64):
            if set(data) & set(numbers) and not over.wait(AGAIN):
                signal.pthread_kill(main, CALL)

    thread = threading.Thread(target=listen, name="signals", daemon=True)
    handler = signal.signal(CALL, _nothing)
    before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        mouth.close()
        thread.join()
        ears.close()
        signal.signal(CALL, handler)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Run because it was called: the handlers of what came before run with it."""
