"""The frozen proxy's program: refuses every CONNECT with 403, and tells the host on stdout."""

import socket
import sys


def main() -> None:
    """Serve until killed."""
    server = socket.create_server((sys.argv[1], int(sys.argv[2])))
    print("ready", flush=True)  # noqa: T201 - stdout is what the other side reads
    while True:
        peer, _ = server.accept()
        with peer:
            head = peer.recv(65536).decode(errors="replace")
            if " " in head:
                print(head.split(" ")[1].rpartition(":")[0], flush=True)  # noqa: T201 - as above
                peer.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


if __name__ == "__main__":
    main()
