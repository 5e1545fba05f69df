"""A witness on the engine's host where that is another machine: a container that has the host's own network."""

import io
from collections.abc import Iterator, Sequence
from importlib import resources
from ipaddress import IPv4Network

from bottle_docker.containers import confined
from bottle_docker.engine import Engine
from bottle_docker.execs import Command, Place, copied, run_command
from bottle_docker.labels import Mark
from bottle_docker.look import look_argv, look_input, read_answers
from bottle_docker.seccomp import seccomp_profile
from bottle_docker.sidecar import UID
from bottle_docker.subnets import routes_of
from bottle_docker.tail import Tail
from claude_bottle.errors import LaunchError
from claude_bottle.seam.bottle import Dial, Sightings
from claude_bottle.seam.sidecar import Address

__all__ = ["BASE", "HostWitness", "witness_body"]

BASE = "debian:bookworm-slim"
"""What the agent's image is made from: nothing that a manifest chose gets the host's network."""

SCRIPT = "witness.pl"
RESOLVER = "RES_OPTIONS=timeout:1 attempts:1"  # a host whose resolver is silent must not hold up a launch
PATIENCE = 15.0  # seconds for each answer
MEMORY = 64 << 20


class HostWitness:
    """A container on the host's network, beside which others can be started; `routes` are the host's."""

    def __init__(self, engine: Engine, container: str, name: str) -> None:
        self._engine = engine
        self._container = container
        self._name = name
        self._stream = engine.attach(container, stdin=True)
        self._tail = Tail(self._stream)
        engine.start(container)
        self._lines = self._tail.lines(PATIENCE)
        self.routes: Sequence[IPv4Network] = tuple(routes_of(list(self._part())[1:]))

    def listen(self, addresses: Sequence[str]) -> tuple[Address, ...]:
        """Let it listen at addresses of the host, at the host's primary ones and on loopback. Once."""
        self._stream.send(" ".join(addresses).encode() + b"\n")
        places = (line.rpartition(" ") for line in self._part())
        return tuple(Address(host, int(port)) for host, _, port in places)

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """See `seam.bottle.Bottle.look`: from the host's own network, with its resolver and its hosts file."""
        out, err = bytearray(), bytearray()
        feed = copied(io.BytesIO(look_input(dials, names)))
        place = Place(self._engine, self._container)
        code = run_command(place, Command(look_argv()), feed=feed, out=out.extend, err=err.extend, timeout=PATIENCE)
        if code != 0:
            raise LaunchError(f"{self._name} could not look around: {err.decode('utf-8', 'replace').strip()[:300]}")
        return read_answers(self._name, bytes(out), len(dials), len(names))

    def close(self) -> None:
        """End and remove it."""
        self._stream.close()
        self._engine.remove(self._container)

    def _part(self) -> Iterator[str]:
        for line in self._lines:
            if line == b".":
                return
            yield line.decode("ascii", "replace")
        raise LaunchError(f"{self._name} did not start: {self._tail.last_words or 'it said nothing'}")


def witness_body(mark: Mark) -> dict[str, object]:
    """Return the witness's container: nobody's uid, without a capability, and with the host's network."""
    script = resources.files(__package__ or "").joinpath(SCRIPT).read_text(encoding="ascii")
    return {
        "Image": BASE,
        "User": f"{UID}:{UID}",
        "WorkingDir": "/",
        "Entrypoint": ["perl", "-e", script],
        "Cmd": [],
        "Env": [RESOLVER],
        "Labels": mark.labels("witness"),
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {
            **confined(64, MEMORY),
            "ReadonlyRootfs": True,
            "SecurityOpt": ["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
            "NetworkMode": "host",
        },
    }
