"""A signal to another thread, as one that comes at a bad moment, still ends what the main thread waits in."""

import subprocess
import sys
import time

import pytest

PROGRAM = """
import contextlib, select, signal, sys, threading, time
from claude_bottle.seam.hearing import heard

def leave(number, frame):
    print("left", number, flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, leave)
other = threading.Thread(target=time.sleep, args=(4,), daemon=True)
other.start()

def send():
    time.sleep(0.3)
    signal.pthread_kill(other.ident, signal.SIGTERM)

with heard({signal.SIGTERM}) if sys.argv[1] == "heard" else contextlib.nullcontext():
    threading.Thread(target=send, daemon=True).start()
    select.select([sys.stdin], [], [], 3)
print("waited on", flush=True)
"""


@pytest.mark.parametrize(("how", "said"), [("heard", "left 15\n"), ("plain", "left 15\n")])
def test_a_signal_to_another_thread_is_heard(how: str, said: str) -> None:
    """At once with it; the control without it waits until the call returns by itself."""
    begin = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == said
    assert (time.monotonic() - begin < 2) == (how == "heard")
