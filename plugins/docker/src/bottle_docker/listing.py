"""Containers, networks and volumes, as the engine lists them."""

from msgspec import Struct, field

__all__ = ["Container", "Layer", "Network", "Volume"]


class Container(Struct, frozen=True, rename="pascal"):
    """A container as the engine lists it."""

    id: str
    names: tuple[str, ...] = ()
    image: str = ""
    labels: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """Its name without the slash that the engine puts before it."""
        return self.names[0].removeprefix("/") if self.names else self.id[:12]


class IpamPool(Struct, frozen=True, rename="pascal"):
    """A network's subnet."""

    subnet: str = ""


class Ipam(Struct, frozen=True, rename="pascal"):
    """A network's subnets."""

    config: tuple[IpamPool, ...] | None = None


class Network(Struct, frozen=True, rename="pascal"):
    """A network as the engine lists it."""

    id: str
    name: str
    labels: dict[str, str] | None = None
    ipam: Ipam = field(default=Ipam(), name="IPAM")

    @property
    def subnets(self) -> tuple[str, ...]:
        """Its subnets, of either family."""
        return tuple(pool.subnet for pool in self.ipam.config or () if pool.subnet)


class Volume(Struct, frozen=True, rename="pascal"):
    """A volume as the engine lists it."""

    name: str
    labels: dict[str, str] | None = None


class Layer(Struct, frozen=True, rename="pascal"):
    """An image without a name."""

    id: str
    labels: dict[str, str] | None = None
