"""A look around from the agent's own network: `look.pl`, run inside, for every Debian has perl."""

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from typing import NamedTuple

from claude_bottle.errors import LaunchError
from claude_bottle.seam.bottle import Dial, Sightings

__all__ = ["Control", "least", "look_argv", "look_input", "read_answers"]

SCRIPT = "look.pl"
LEAST = 0.25
TIMES = 10


class Control(NamedTuple):
    """Who answers from the same network, and the seconds that whoever may not answer has at the least."""

    host: str
    seconds: float


def least(names: Sequence[str]) -> float:
    """Return those seconds where this machine is the host: many times what it takes for the same names itself."""
    begin = time.monotonic()
    for name in names:
        with suppress(OSError):
            socket.getaddrinfo(name, None)
    return max(LEAST, TIMES * (time.monotonic() - begin))


def look_argv() -> tuple[str, ...]:
    """Return the command."""
    return ("perl", "-e", resources.files(__package__ or "").joinpath(SCRIPT).read_text(encoding="ascii"))


def look_input(dials: Sequence[Dial], names: Sequence[str], control: Control | None = None) -> bytes:
    """Return what the script is asked, and until when it waits; a second where there is no control."""
    asked = [f"dial {dial.host} {dial.port} {dial.send.hex()}" for dial in dials]
    until = [f"control {control.host} {control.seconds:.3f}"] if control else []
    return "".join(f"{line}\n" for line in (*until, *asked, *(f"name {name}" for name in names))).encode()


def read_answers(name: str, output: bytes, dials: int, names: int) -> Sightings:
    """Return what the script said; LaunchError unless it is an answer to each question, and to nothing else."""
    lines = output.decode("ascii", "replace").splitlines()
    if len(lines) != dials + names:
        raise LaunchError(f"the bottle {name} did not say all that it was asked")
    try:
        answers = tuple(_answer(line) for line in lines[:dials])
        resolved = tuple({"0": False, "1": True}[line] for line in lines[dials:])
    except (KeyError, ValueError) as error:
        raise LaunchError(f"the bottle {name} answered what cannot be read") from error
    return Sightings(answers, resolved)


def _answer(line: str) -> bytes | None:
    if line == "none":
        return None
    if not line.startswith("x"):
        raise ValueError(line)
    return bytes.fromhex(line[1:])
