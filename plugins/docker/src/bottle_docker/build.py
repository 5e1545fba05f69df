"""A build on the engine, which can be broken off at any moment: the SDK's own waits for the next line of it."""

import http.client
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from threading import Event
from typing import Any
from urllib.parse import urlencode

from msgspec import DecodeError, json

from bottle_docker.address import Address
from bottle_docker.cures import explained
from bottle_docker.stream import connect
from claude_bottle.errors import LaunchError

__all__ = ["build_image"]


def build_image(address: Address, api: str, context: bytes, tag: str, ended: Event) -> Iterator[str]:
    """Build an image from a tar archive with a `Dockerfile` in it, and yield what the build prints.

    LaunchError with the engine's words if it fails, or once `ended` is set: the connection is closed, upon which the
    engine gives up and removes its containers.
    """
    query = urlencode({"t": tag, "rm": 1, "forcerm": 1})
    connection = http.client.HTTPConnection("docker")
    connection.sock = connect(address)
    with broken_by(ended, connection.sock):
        try:
            connection.request("POST", f"/v{api}/build?{query}", context, {"Content-Type": "application/x-tar"})
            connection.sock.settimeout(None)  # a step may be silent for as long as it likes
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                raise LaunchError(*explained(message_of(answer.read())))
            for line in answer:
                yield from printed(line)
        except (OSError, http.client.HTTPException) as error:
            raise LaunchError(f"the build was broken off: {error}") from error
        finally:
            connection.close()
    if ended.is_set():
        raise LaunchError("given up")


@contextmanager
def broken_by(ended: Event, connection: socket) -> Generator[None]:
    """Break a connection when an event is set."""
    over = Event()

    def watch() -> None:
        while not over.wait(0.1):
            if ended.is_set():
                with suppress(OSError):
                    connection.shutdown(SHUT_RDWR)
                return

    watcher = threading.Thread(target=watch, name="build", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def printed(line: bytes) -> Iterator[str]:
    """Yield what a line of the answer has for a reader; LaunchError if it says that the build failed."""
    try:
        found: Mapping[str, Any] = json.decode(line, type=dict[str, Any])
    except DecodeError:
        return
    if "error" in found:
        raise LaunchError(*explained(str(found["error"])))
    if text := str(found.get("stream", "")).strip():
        yield text


def message_of(body: bytes) -> str:
    """Return the engine's own words."""
    try:
        return str(json.decode(body, type=dict[str, Any])["message"])
    except (DecodeError, KeyError):
        return body.decode("utf-8", "replace")
