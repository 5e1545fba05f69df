"""What a terminal's command began ends with whoever attached, also when that is killed outright.

An engine knows no hang-up. But it ends the input of a command whose client is gone: so a second one waits for that.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

from bottle_docker.execs import END_ALL, Place
from bottle_docker.stream import Stream
from claude_bottle.errors import BottleError

__all__ = ["leashed"]

HOLD = f"read -r word && exit\n{END_ALL}"
RELEASE = b"over\n"


@contextmanager
def leashed(place: Place, token: str) -> Generator[None]:
    """Hold what has this token of a command while the body runs: if this process dies meanwhile, so does that.

    It is there a moment after the body has begun, which does not wait for it.
    """
    held: list[Stream] = []

    def hold() -> None:
        with suppress(BottleError):
            argv = ("/bin/sh", "-c", HOLD, "/bin/sh", token)
            exec_id = place.engine.create_exec(
                place.container, argv, user=place.user, stdin=True, tty=False, env={}, cwd="/"
            )
            held.append(place.engine.start_exec(exec_id))

    holding = threading.Thread(target=hold, name="leash", daemon=True)
    holding.start()
    try:
        yield
    finally:
        holding.join()
        for stream in held:
            with suppress(OSError):
                stream.send(RELEASE)
            for _ in stream.frames():  # until it has read that
                pass
            stream.close()
