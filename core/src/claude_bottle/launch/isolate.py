"""Calls in child processes, side by side: whatever a plugin does, it does to a process that nobody needs."""

import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, NoReturn, TypeVar

import msgspec
from msgspec import Struct

from claude_bottle.errors import BottleError, DeadlineError, PluginError

__all__ = ["isolated"]

T = TypeVar("T")

CHUNK = 65536


class _Refusal(Struct, frozen=True):
    """What a call raised on purpose."""

    message: str
    hint: str | None = None


class _Child(Generic[T]):
    """One call in a process of its own, which answers with one line."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _answer(call, write)
        os.close(write)
        self.data = b""
        self.ended = False

    def take(self) -> None:
        """Read what there is."""
        part = os.read(self.read, CHUNK)
        self.data += part
        self.ended = not part or self.data.endswith(b"\n")

    def close(self) -> int:
        """End the process and whatever it has started, and return how it ended."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)  # it may not have its group yet
        os.close(self.read)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def isolated(calls: Sequence[Callable[[], T]], form: type[T], deadline: float) -> list[T | BottleError]:
    """Return each call's answer, a value of type `form`, or the error that it met.

    All run at the same time, each in a copy of this process, which must have no other threads then. One that has
    not answered within `deadline` seconds gets a DeadlineError, one whose process ends a PluginError.
    """
    children: list[_Child[T]] = []
    try:
        children += [_Child(call) for call in calls]
        _wait(children, time.monotonic() + deadline)
    finally:
        codes = [child.close() for child in children]
    return [_judge(child, code, form, deadline) for child, code in zip(children, codes, strict=True)]


def _wait(children: Sequence[_Child[T]], end: float) -> None:
    """Read until each has answered or ended, or the time is over."""
    poll = select.poll()
    by_number = {child.read: child for child in children}
    for number in by_number:
        poll.register(number, select.POLLIN | select.POLLHUP)
    while by_number and (left := end - time.monotonic()) > 0:
        for number, _ in poll.poll(left * 1000):
            child = by_number[number]
            child.take()
            if child.ended:
                poll.unregister(number)
                del by_number[number]


def _judge(child: _Child[T], code: int, form: type[T], deadline: float) -> T | BottleError:
    if not child.ended:
        return DeadlineError(f"no answer within {deadline:g} s")
    if not child.data.endswith(b"\n"):
        how = f"with {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return PluginError("", f"it ends the interpreter {how}")
    mark, data = child.data[:1], child.data[1:]
    if mark == b"+":
        return msgspec.json.decode(data, type=form)
    refusal = msgspec.json.decode(data, type=_Refusal)
    return PluginError("", refusal.message, refusal.hint)


def _answer(call: Callable[[], T], pipe: int) -> NoReturn:
    """Make the call in the child, quietly, and end without any of the parent's own endings."""
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        nobody = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nobody, number)
        sys.stdout = sys.stderr = os.fdopen(nobody, "w", encoding="utf-8")
        os.write(pipe, _spoken(call))
    finally:
        os._exit(1)


def _spoken(call: Callable[[], T]) -> bytes:
    try:
        return b"+" + msgspec.json.encode(call()) + b"\n"
    except BottleError as error:
        refusal = _Refusal(error.message, error.hint)
    except BaseException as error:  # noqa: BLE001 - this process has nothing else to do
        refusal = _Refusal(f"{type(error).__name__}: {error}")
    return b"-" + msgspec.json.encode(refusal) + b"\n"
