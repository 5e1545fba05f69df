"""What backends and proxies say of themselves, so that core can judge which of them go together."""

from typing import Literal

from msgspec import Struct

__all__ = ["BackendTraits", "Kernel", "Listen", "ProxyTraits", "Runs", "Way"]

Runs = Literal["image", "process"]
"""How a sidecar is run: from a container image, or as a process of this machine."""

Kernel = Literal["shared", "own"]
"""Whose kernel a bottle's programs talk to: this machine's, or one of its own, as in a virtual machine."""

Way = Literal["tcp", "fd"]
"""How a sidecar listens: at an address, or on a descriptor that it is handed."""


class BackendTraits(Struct, frozen=True, kw_only=True):
    """What a backend can do. Every backend must let a sidecar listen at a TCP address.

    `kernel`: one that is shared must be behind a seccomp filter; an own one is proved by its boot id.
    `unix`: it can carry a unix socket into the bottle. `root`: commands can run as root inside.
    `bind`: it makes the plan's mounts; a bottle that has any is a `BoundBottle`, and what its agent writes belongs, as
    this machine counts, to whoever launched it. Without `confines` nobody may start it: only the conformance kit's
    own, which runs what it is given on this machine, may say so.

    `host_cure` and `name_cure` say which setting is at fault, and what to do, where the proof finds that a bottle
    reaches the host or that its resolver knows a name of the host's.
    """

    runs: Runs
    listen: frozenset[Way] = frozenset({"tcp"})
    kernel: Kernel = "shared"
    unix: bool = False
    root: bool = False
    bind: bool = False
    confines: bool = True
    host_cure: str = "its network is not isolated here: bottle doctor"
    name_cure: str = "its resolver asks others: bottle doctor"


class ProxyTraits(Struct, frozen=True, kw_only=True):
    """What a proxy can do.

    `confines`: as of a backend.
    `inject`: it can put a credential into a request that the agent never held.
    `lacks` names what it cannot hold, one sentence each; every one is a line of the preflight.
    """

    runs: frozenset[Runs]
    listen: frozenset[Way] = frozenset({"tcp"})
    inject: bool = False
    confines: bool = True
    lacks: tuple[str, ...] = ()


class Listen(Struct, frozen=True):
    """Where a sidecar is to listen.

    `tcp`: at `host` and `port`. `fd`: descriptor 3 is a SEQPACKET socket on which one message arrives:
    a JSON object `{"root": PATH, "uid": N | null, "gid": N | null}` with the listening socket attached.
    The program opens what it needs below `root`, drops to that uid once its imports are done, and ends
    when descriptor 3 is closed. `host` and `port` are in both cases the address that the agent dials.
    """

    way: Way
    host: str
    port: int
