"""TLS to an engine, as a plain socket: its two directions end one by one."""

import socket
import threading
from pathlib import Path

from bottle_docker.address import Tls
from bottle_docker.tls import secured
from claude_bottle.testing.authority import Authority

SIZE = 4 << 20


def test_what_is_on_its_way_back_survives_the_end_of_what_goes(tmp_path: Path) -> None:
    """Whoever says that no more comes still gets all that was sent, and what is said after it."""
    authority = Authority("an engine")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    context = authority.context(["engine.test"])
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with context.wrap_socket(server.accept()[0], server_side=True) as there:
                there.sendall(bytes(SIZE))
                while there.recv(4096):
                    pass
                there.sendall(b"after")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        plain = socket.create_connection(server.getsockname())
        ours = secured(plain, "engine.test", Tls(ca=str(tmp_path / "ca.pem"), pair=None, verify=True))
        thread.join(0.5)  # more has come by now than anybody takes
        ours.shutdown(socket.SHUT_WR)
        thread.join(0.5)
        came = b"".join(iter(lambda: ours.recv(1 << 16), b""))
        ours.close()
        thread.join(10)
    assert came == bytes(SIZE) + b"after"
