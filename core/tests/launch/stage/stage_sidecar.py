"""The stage's way out, run as a program of its own: refuses every CONNECT with 403, and tells on stdout.

Called with a port; a second word names another behaviour: `open` answers 200, `mute` nothing, `dead` ends at once.
A request for `talk.example` is told as refused, with the line that would allow it.
"""

import json
import socket
import sys
import time


def main() -> None:
    """Serve until killed."""
    port, manner = int(sys.argv[1]), sys.argv[2]
    if manner == "dead":
        print("last words", flush=True)  # noqa: T201 - stdout is what the other side reads
        sys.exit(3)
    server = socket.create_server(("127.0.0.1", port))
    print("ready", flush=True)  # noqa: T201 - as above
    while True:
        peer, _ = server.accept()
        with peer:
            answer(peer, manner)


def answer(peer: socket.socket, manner: str) -> None:
    """Read one request, tell it, answer it."""
    head = peer.recv(65536).decode(errors="replace")
    host = head.split(" ")[1].rpartition(":")[0] if " " in head else ""
    event = {
        "time": time.time(),
        "verdict": "deny",
        "host": host,
        "reason": f"host {host} is not allowed",
        "rule": "allowlist",
        "fix": f"bottle allow NAME {host}",
    }
    if host:
        print(json.dumps(event), flush=True)  # noqa: T201 - as above
    if manner != "mute":
        status = "200 OK" if manner == "open" else "403 Forbidden"
        peer.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())


if __name__ == "__main__":
    main()
