"""One bottle's networks and containers, made side by side, and found again by their label when they go."""

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import IPv4Network
from socket import AF_INET, socket
from threading import Event
from typing import NamedTuple, TypeVar

from bottle_docker.bottle import DockerBottle, Own
from bottle_docker.containers import PORT, PROXY, agent_body, proxy_body
from bottle_docker.engine import Engine
from bottle_docker.execs import exports
from bottle_docker.image import agent_recipe, chosen_recipe, fetcher_recipe, host_user
from bottle_docker.images import Images
from bottle_docker.labels import LAUNCH, Mark
from bottle_docker.listing import Network
from bottle_docker.locks import NETWORKS, locked
from bottle_docker.networks import Segment, isolation, make_network
from bottle_docker.outpost import BASE, HostWitness, witness_body
from bottle_docker.probe import host_of
from bottle_docker.section import DockerSection
from bottle_docker.sidecar import ROOT, ContainerSidecar, Started, archive_of
from bottle_docker.stream import Stream
from bottle_docker.subnets import host_routes
from bottle_docker.tail import Tail
from bottle_docker.trust import Trust, read_trust
from claude_bottle.errors import LaunchError, NameTakenError
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.names import candidates, taken_message
from claude_bottle.seam.owner import Launch
from claude_bottle.seam.sidecar import Address, Outpost, SidecarSpec
from claude_bottle.seam.traits import Listen, Runs
from claude_bottle.seam.witness import open_witness, own_addresses

__all__ = ["DockerSite", "sweep"]

T = TypeVar("T")
WORKERS = 6
STEP = 0.03  # seconds between two looks at a network that is being left
STARTING = 30.0  # seconds that the agent's first process may take to say that it is there


class Made(NamedTuple):
    """The agent's container before it starts, and what its image trusts."""

    container: str
    name: str
    trust: Trust


class DockerSite:
    """What `open_site` began. Its threads make everything; whoever needs a thing waits for that one."""

    def __init__(self, engine: Engine, plan: Plan, launch: Launch, say: Callable[[str], None]) -> None:
        self._engine = engine
        self._plan = plan
        self._section = plan.section(DockerSection)
        self._mark = Mark.of(launch, plan.bottle, plan.slug, host_user() if plan.mounts else "")
        self._ended = Event()
        self._images = Images(engine, say, self._ended)
        self._pool = ThreadPoolExecutor(WORKERS, "docker")
        pool = IPv4Network(self._section.subnets)
        self._host = host_of(engine.address)
        self._there = self._pool.submit(self._witness_there) if self._host != os.uname().nodename else None
        self._outside = self._pool.submit(self._network, "egress", pool, {})
        self._inside = self._pool.submit(self._network_inside, pool)
        self._long = [self._pool.submit(self._agent_image)]
        self._agent = self._pool.submit(self._make_agent, self._long[0])
        self._sidecars: list[Future[Started]] = []
        self._stdin: Stream | None = None
        self._kept = ExitStack()

    @property
    def runs(self) -> Runs:
        """See `seam.sidecar.Site`."""
        return "image"

    @property
    def root(self) -> str:
        """See `seam.sidecar.Site`."""
        return ROOT

    @property
    def listen(self) -> Listen:
        """See `seam.sidecar.Site`: the agent's container knows the proxy under this name alone."""
        return Listen("tcp", PROXY, PORT)

    def run(self, spec: SidecarSpec) -> ContainerSidecar:
        """See `seam.sidecar.Site`."""
        if spec.image is None:
            raise LaunchError("this proxy has no image, and containers are made of images")
        image = self._pool.submit(self._images.ensure, spec.image)
        self._long.append(image)
        self._sidecars.append(self._pool.submit(self._start_sidecar, spec, image))
        return ContainerSidecar(self._engine, self._sidecars[-1])

    def settle(self) -> None:
        """See `seam.sidecar.Site`: wait for the images."""
        for future in [self._there, *self._long]:
            if future is not None:
                future.result()

    @contextmanager
    def witness(self) -> Generator[Sequence[Address] | Outpost]:
        """See `seam.sidecar.Site`: at every address at which the engine's host might be seen from a container.

        Of this machine alone if it is that host. Not before the proxy is on the networks, as it will be.
        """
        wait(self._sidecars)
        gateways = list(dict.fromkeys([self._outside.result().gateway, *default_gateways(self._engine.networks())]))
        with open_witness([*((AF_INET, it) for it in gateways), *own_addresses()]) as here:
            if self._is_near():
                yield here
                return
            there = self._there.result() if self._there else self._witness_there()
            try:
                yield Outpost(host=self._host, addresses=there.listen(gateways), look=there.look, here=tuple(here))
            finally:
                self._pool.submit(there.close)  # whatever becomes of that, `close` sweeps

    def start(self, environment: Mapping[str, str]) -> DockerBottle:
        """Start the agent's container, give its first process the environment, and return the bottle."""
        made = self._agent.result()
        self._stdin = self._engine.attach(made.container, stdin=True)
        self._engine.start(made.container)
        text = exports(environment).encode()
        self._stdin.send(f"{len(text)}\n".encode() + text)
        tail = Tail(self._stdin)
        if next(tail.lines(STARTING), b"") != b"ready":
            raise LaunchError(f"the bottle {made.name} did not start: {tail.last_words or 'it said nothing'}")
        return DockerBottle(
            self._engine,
            made.container,
            made.name,
            self._mark,
            end=self.close,
            own=Own(made.trust, self._kept.callback, near=self._is_near()),
        )

    def close(self) -> None:
        """See `seam.sidecar.Site`: by the launch's label, also what no answer was had about. Idempotent."""
        self._ended.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        try:
            self._kept.close()
        finally:
            if self._stdin is not None:
                self._stdin.close()
            sweep(self._engine, self._mark.launch)

    def _is_near(self) -> bool:
        """Say whether the engine's host is this machine.

        It has its name then, and the gateway of the network that was just made is an address of ours: another machine
        may well have given a network of its own the same address.
        """
        if self._there is not None:
            return False
        with socket(AF_INET) as probe:
            try:
                probe.bind((self._outside.result().gateway, 0))
            except OSError:
                return False
        return True

    def _network(self, kind: str, pool: IPv4Network, options: Mapping[str, str]) -> Segment:
        base, labels = f"claude-bottle-{kind}-{self._mark.slug}", self._mark.labels("network")
        routes = self._there.result().routes if self._there else tuple(host_routes())
        with locked(NETWORKS, self._ended):
            return make_network(self._engine, base, pool, options, labels, routes)

    def _network_inside(self, pool: IPv4Network) -> Segment:
        """Make it after the other, which the proxy's container waits for; the engine makes one at a time."""
        wait([self._outside])
        return self._network("internal", pool, isolation(self._engine.api))

    def _witness_there(self) -> HostWitness:
        self._images.ensure(BASE)
        name, container = self._create(f"claude-bottle-witness-{self._mark.slug}", lambda _: witness_body(self._mark))
        return HostWitness(self._engine, container, name)

    def _agent_image(self) -> str:
        if self._plan.programs:
            self._images.ensure(fetcher_recipe())
        if self._section.image is None:
            return self._images.ensure(agent_recipe(self._plan.install, self._plan.programs, self._mark.agent))
        chosen = self._images.ensure(self._section.image)
        image = self._engine.image_id(chosen) or chosen
        return self._images.ensure(chosen_recipe(image, self._plan.programs, self._mark.agent))

    def _make_agent(self, image: "Future[str]") -> Made:
        name, inside = image.result(), self._inside.result()
        made, container = self._create(
            f"claude-bottle-{self._mark.slug}",
            lambda it: agent_body(name, it, inside, self._section, self._mark, self._plan.runtime, self._plan.mounts),
        )
        return Made(container, made, read_trust(self._engine, container, name))

    def _start_sidecar(self, spec: SidecarSpec, image: "Future[str]") -> Started:
        name, outside = image.result(), self._outside.result()
        base = f"claude-bottle-{self._plan.proxy.name}-{self._mark.slug}"
        _, container = self._create(base, lambda _: proxy_body(name, spec, outside, self._mark))
        self._engine.put_archive(container, ROOT, archive_of(spec.files, spec.folders))
        inside = self._inside.result()
        self._engine.connect(inside.network, container, inside.proxy)
        stream = self._engine.attach(container, stdin=bool(spec.stdin))
        with ExitStack() as failing:
            failing.callback(stream.close)
            self._engine.start(container)
            failing.pop_all()
        with suppress(OSError):  # it has ended, which `wait` says better
            stream.send(spec.stdin)
        tail = Tail(stream)
        return Started(container, tail)

    def _create(self, base: str, body: Callable[[str], Mapping[str, object]]) -> tuple[str, str]:
        """Make a container under the first name that is free, and return its name and id."""
        for name in candidates(base):
            if self._ended.is_set():
                raise LaunchError("given up")
            try:
                return name, self._engine.create(name, body(name))
            except NameTakenError:
                continue
        raise LaunchError(taken_message(base), "stop one of them, or run `bottle cleanup`")


def default_gateways(networks: Sequence[Network]) -> list[str]:
    """Return the host's addresses on the engine's own default network."""
    subnets = [subnet for network in networks if network.name == "bridge" for subnet in network.subnets]
    return [str(IPv4Network(subnet)[1]) for subnet in subnets if ":" not in subnet]


def sweep(engine: Engine, launch: str) -> None:
    """Remove all that carries a launch's label: containers with their volumes, then networks. Idempotent.

    Twice where a volume is in use: the engine was still making a container that a client had asked for before it died.
    """
    label = f"{LAUNCH}={launch}"
    try:
        sweep_once(engine, label)
    except NameTakenError:
        sweep_once(engine, label)


def sweep_once(engine: Engine, label: str) -> None:
    """Remove what has a label now."""
    with ThreadPoolExecutor(WORKERS, "docker") as pool:
        containers, networks = pool.submit(engine.containers, label), pool.submit(engine.networks, label)
        going = [pool.submit(engine.remove, container.id) for container in containers.result()]
        left = [pool.submit(leave, engine, network.id, going) for network in networks.result()]
        raise_first([*going, *left])
    for volume in engine.volumes(label):
        engine.remove_volume(volume.name)


def leave(engine: Engine, network: str, going: Sequence[Future[None]]) -> None:
    """Remove a network once no container is on it: each leaves it as soon as it ends, well before it is removed."""
    while not all(container.done() for container in going):
        with suppress(LaunchError):  # whoever is no longer on it may be leaving still
            if not engine.joined(network):
                engine.remove_network(network)
                return
        wait(going, STEP)
    engine.remove_network(network)


def raise_first(futures: Sequence[Future[None]]) -> None:
    """Raise the first failure of several things that go on side by side, once all are done."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise errors[0]
