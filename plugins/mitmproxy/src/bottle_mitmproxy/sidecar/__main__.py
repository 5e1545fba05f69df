"""Run the proxy: `python -P -m bottle_mitmproxy.sidecar --fd 3`, or `--listen HOST:PORT --root DIR`."""

import os
import sys

from bottle_mitmproxy.sidecar import lean

lean.install()  # before anything imports mitmproxy

from bottle_mitmproxy.sidecar.main import main  # noqa: E402 - see above

os._exit(main(sys.argv[1:]))  # all is said and flushed; taking the interpreter apart is time that a user waits for
