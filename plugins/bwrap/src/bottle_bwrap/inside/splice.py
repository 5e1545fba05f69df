"""The first process of a proxy's own network: it begins the proxy, and passes on to it what comes at the bottle's door.

Its stdin is the channel of `seam.traits.Listen`; its arguments are the proxy's port and the proxy's command. Run from
its source, it imports nothing of ours. It ends with the channel or with the proxy, and as PID 1 takes all else along.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

CHUNK = 1 << 16
GRACE = 1.5  # seconds between asking the proxy to end and killing it
START = 20.0  # seconds in which the proxy may begin to listen
HERE = b"here"


def main() -> None:
    """Run the proxy until it or the channel ends."""
    channel = socket.socket(fileno=os.dup(0))
    channel.send(HERE)
    proxy = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
    threading.Thread(target=listen, args=(channel, int(sys.argv[1]), proxy), daemon=True).start()
    code = proxy.wait()
    os._exit(code if code >= 0 else 128 - code)


def listen(channel: socket.socket, port: int, proxy: subprocess.Popen[bytes]) -> None:
    """Take the listener from the channel and serve it; when the channel ends, so does the proxy."""
    with contextlib.suppress(OSError):
        _, fds, _, _ = socket.recv_fds(channel, 4096, 1)
        if fds:
            threading.Thread(target=serve, args=(socket.socket(fileno=fds[0]), port), daemon=True).start()
            channel.recv(1)
    proxy.terminate()
    time.sleep(GRACE)
    proxy.kill()


def serve(listener: socket.socket, port: int) -> None:
    """Give each connection one to the proxy."""
    listener.settimeout(None)
    while True:
        came, _ = listener.accept()
        threading.Thread(target=join, args=(came, port), daemon=True).start()


def join(came: socket.socket, port: int) -> None:
    """Pass bytes both ways, each direction until its own end."""
    with came, contextlib.suppress(OSError), connect(port) as to:
        back = threading.Thread(target=pump, args=(to, came), daemon=True)
        back.start()
        pump(came, to)
        back.join()


def connect(port: int) -> socket.socket:
    """Return a connection to the proxy, which may not listen yet."""
    end = time.monotonic() + START
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the source ends, and say so to the sink; if either breaks, so does the other."""
    try:
        while data := source.recv(CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for it in (source, sink):
            with contextlib.suppress(OSError):
                it.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
