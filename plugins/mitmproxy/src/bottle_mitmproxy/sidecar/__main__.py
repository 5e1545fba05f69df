"""Run the proxy: `python -P -m bottle_mitmproxy.sidecar --fd 3`, or `--listen HOST:PORT --root DIR`."""

import os
import signal
import sys

if os.getpid() == 1:  # no default action holds for a container's first process: until it serves, it could not be ended
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))

from bottle_mitmproxy.sidecar import lean

lean.install()  # before anything imports mitmproxy

from bottle_mitmproxy.sidecar.main import main  # noqa: E402 - after the line above

os._exit(main(sys.argv[1:]))  # all is said and flushed; taking the interpreter apart is time that a user waits for
