"""Sends many requests from inside a bottle and tells the status of each: `python3 -c SOURCE`, requests on stdin.

A request is a line of JSON: target, headers, and how many bytes of body follow it.
"""

import http.client
import json
import os
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import Any
from urllib.parse import urlsplit

mine = local()


def connection() -> http.client.HTTPSConnection:
    """Return this thread's connection, through the proxy."""
    if not hasattr(mine, "connection"):
        proxy = urlsplit(os.environ["HTTPS_PROXY"])
        mine.connection = http.client.HTTPSConnection(
            proxy.hostname or "", proxy.port, context=ssl.create_default_context(), timeout=200
        )
        mine.connection.set_tunnel(sys.argv[1])
    return mine.connection


def status(work: tuple[dict[str, Any], bytes], tries: int = 3) -> int:
    """Send one request; a connection that a proxy has closed is made anew, as every client does."""
    request, body = work
    try:
        link = connection()
        link.request("POST" if body else "GET", request["target"], body or None, dict(request["headers"]))
        answer = link.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection().close()
        if tries == 1:
            return 0
        time.sleep(0.1)
        return status(work, tries - 1)
    return answer.status


def main() -> None:
    """Print the statuses, in the order of the requests."""
    work: list[tuple[dict[str, Any], bytes]] = []
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        work.append((request, sys.stdin.buffer.read(request["size"])))
    with ThreadPoolExecutor(4) as pool:
        print(json.dumps(list(pool.map(status, work))))  # noqa: T201 - it is a program


if __name__ == "__main__":
    main()
