"""What goes wrong on an engine, and what is said and left then."""

import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bottle_docker import networks, site
from bottle_docker.address import Address
from bottle_docker.archive import pack_archive
from bottle_docker.containers import agent_body
from bottle_docker.engine import Engine
from bottle_docker.images import Images
from bottle_docker.labels import BUILD, BUILDER, LAUNCH, Mark, builder
from bottle_docker.leftover import find_bottles, find_leftovers, remove_leftovers
from bottle_docker.networks import Segment, make_network
from bottle_docker.probe import judge
from bottle_docker.section import DockerSection
from bottle_docker.site import sweep
from claude_bottle.errors import ImageError, LaunchError, NameTakenError, UnavailableError
from claude_bottle.seam.owner import Owner
from claude_bottle.seam.sidecar import Recipe

BASE = "debian:bookworm-slim"
HERE = {"ApiVersion": "1.41", "Os": "linux", "Version": "20.10"}
INFO = {"Name": os.uname().nodename, "SecurityOptions": ["name=seccomp,profile=default"]}


def mark_of(owner: Owner, label: str) -> Mark:
    """Return the mark of a launch of this user."""
    return Mark(bottle="dev", slug="lost", launch=label, owner=owner, user=os.getuid())


def test_names_move_on_when_they_are_taken(start: Any) -> None:
    """S6: two bottles of one agent have a name each, and so have all things of theirs."""
    one, two = start(slug="twin"), start(slug="twin")
    assert two.bottle.name == f"{one.bottle.name}-2"


def test_a_name_that_is_taken_after_the_look_moves_on(
    engine: Engine, open_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S6: the engine's own word decides, not what was seen before."""
    names: list[str] = []
    create = Engine.create

    def create_late(self: Engine, name: str, body: Any) -> str:
        names.append(name)
        if len(names) == 1:
            raise NameTakenError("somebody was faster")
        return create(self, name, body)

    monkeypatch.setattr(Engine, "create", create_late)
    opened, _, _ = open_site(slug="late")
    assert opened.start({}).name == f"claude-bottle-late-{os.getpid()}-2"


def test_past_the_last_name_there_is_one_clear_error(open_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """S6: ninety-nine of one agent are enough."""

    def taken(*_: object) -> str:
        raise NameTakenError("in use")

    monkeypatch.setattr(Engine, "create", taken)
    opened, _, _ = open_site(slug="full")
    with pytest.raises(LaunchError, match=r"every name from (claude-bottle-full-\d+) to \1-99 is taken"):
        opened.start({})


def test_where_no_subnet_is_free_that_is_said(start: Any) -> None:
    """With the key that widens the range. What had been made goes."""
    section = DockerSection(subnets="10.213.255.240/28")
    start(section)
    with pytest.raises(LaunchError, match=r"no subnet of 10\.213\.255\.240/28 is free") as caught:
        start(section, "second")
    assert "subnets:" in str(caught.value.hint)


def test_a_subnet_that_is_taken_after_the_look_moves_on(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two launches that begin at the same time want the same one."""
    pool = IPv4Network("10.213.254.0/27")
    mark = mark_of(Owner.current(), "5ab5")
    try:
        first = make_network(engine, "claude-bottle-test-net", pool, {}, mark.labels("network"))
        blind = list(pool.subnets(new_prefix=29))
        blind = [first.subnet, *(it for it in blind if it != first.subnet)]
        monkeypatch.setattr(networks, "free_subnets", lambda *_: iter(blind))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
        second = make_network(engine, "claude-bottle-test-net", pool, {}, mark.labels("network"))
        assert second.subnet == blind[1]
    finally:
        sweep(engine, "5ab5")


def test_a_name_that_the_engine_gave_to_two_is_given_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """S6: it looks for a name and takes it in two steps, and another user's launch knows nothing of our lock."""
    pool, labels = IPv4Network("10.99.251.0/27"), mark_of(Owner.current(), "5ab6").labels("network")
    create, names = engine.create_network, list[str]()

    def unchecked(name: str, subnet: str) -> str:
        ipam = {"Driver": "default", "Config": [{"Subnet": subnet}]}
        client: Any = engine._client  # pyright: ignore[reportPrivateUsage] - the SDK asks for the check, we always do
        return str(client.create_network(name, driver="bridge", ipam=ipam, check_duplicate=False, labels=labels)["Id"])

    def second(name: str, subnet: str, *rest: Any) -> str:
        names.append(name)
        if len(names) > 1:
            return create(name, subnet, *rest)
        unchecked(name, "10.99.251.24/29")
        return unchecked(name, subnet)

    monkeypatch.setattr(engine, "create_network", second)
    try:
        made = make_network(engine, "claude-bottle-test-two", pool, {}, labels)
        assert names == ["claude-bottle-test-two", "claude-bottle-test-two-2"]
        found = {network.name: network.id for network in engine.networks(f"{LAUNCH}=5ab6")}
        assert (set(found), found[names[1]]) == (set(names), made.network)
    finally:
        sweep(engine, "5ab6")


def test_an_image_that_cannot_be_had_is_one_clear_error(open_site: Any) -> None:
    """S9: which, why, and what to do."""
    opened, _, _ = open_site(DockerSection(image="claude-bottle.invalid/nothing:1"))
    with pytest.raises(ImageError, match=r"claude-bottle\.invalid/nothing:1 is not here and cannot be fetched"):
        opened.settle()


def test_a_build_that_fails_says_how_and_leaves_no_layer(engine: Engine) -> None:
    """The last thing that it said, and nothing of it on the engine."""
    recipe = Recipe(
        name="claude-bottle-test-broken", containerfile=f"FROM {BASE}\nRUN echo half >/half\nRUN echo why; false\n"
    )
    with pytest.raises(ImageError, match="cannot be built") as caught:
        Images(engine, lambda _: None, threading.Event()).ensure(recipe)
    assert "why" in caught.value.message
    assert find_leftovers(engine).builds == ()


@pytest.mark.parametrize(("whose", "seen"), [("", True), ("4711.another", False)])
def test_a_broken_build_is_a_leftover_of_whoever_made_it(engine: Engine, whose: str, seen: bool) -> None:
    """S30: that of another user of the engine may still be under way, which only they can tell."""
    digest = os.urandom(8).hex()
    label = f"LABEL {BUILD}={digest} {BUILDER}={whose or builder()}"
    steps = f"FROM {BASE}\n{label}\nRUN echo half >/half\nRUN false\n"
    context = pack_archive([("Dockerfile", steps.encode(), 0o644, 0)])
    with pytest.raises(LaunchError):
        list(engine.build(context, f"claude-bottle-test-{digest}", threading.Event()))
    layers = engine.dangling_images(f"{BUILD}={digest}")
    assert layers != []
    try:
        assert (digest in find_leftovers(engine).builds) is seen
        assert cleaned(engine)
        assert (engine.dangling_images(f"{BUILD}={digest}") == []) is seen
    finally:
        for layer in layers:
            engine.remove_image(layer.id)


def test_a_build_is_given_up_with_its_launch(engine: Engine) -> None:
    """Ctrl-C does not wait for it, and no layer and no container of it stays."""
    ended = threading.Event()
    steps = f"FROM {BASE}\nRUN echo half >/half-{os.urandom(4).hex()}\nRUN sleep 300\n"

    def say(line: str) -> None:
        if "sleep" in line:
            threading.Timer(0.5, ended.set).start()

    begin = time.monotonic()
    with pytest.raises(LaunchError):
        Images(engine, say, ended).ensure(Recipe(name="claude-bottle-test-long", containerfile=steps))
    assert time.monotonic() - begin < 60
    # The engine may start a step's container just after it was told to give up: that one is a leftover.
    assert wait_for(lambda: cleaned(engine))


def cleaned(engine: Engine) -> bool:
    """Clean up, and say whether no step of a build is left."""
    remove_leftovers(engine, find_leftovers(engine))
    return find_leftovers(engine).builds == ()


def wait_for(true: Callable[[], bool]) -> bool:
    """Say whether something becomes true within forty seconds."""
    deadline = time.monotonic() + 40
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def lost_owner() -> Owner:
    """Return a process of this machine that has ended."""
    return replace(Owner.current(), pid=2**22 + 1, start=1)


def test_what_the_dead_left_is_found_and_removed(engine: Engine) -> None:
    """S30: by labels alone, from any terminal."""
    mark = mark_of(lost_owner(), "dead01")
    network = engine.create_network("claude-bottle-internal-lost", "10.213.253.0/29", {}, mark.labels("network"))
    body = agent_body(BASE, "lost", Segment(network, IPv4Network("10.213.253.0/29")), DockerSection(), mark, None)
    engine.create("claude-bottle-lost", body)
    lines = find_leftovers(engine).lines()
    assert {"container claude-bottle-lost", "network claude-bottle-internal-lost"} <= set(lines)
    assert sum(line.startswith("volume ") for line in lines) >= 4
    remove_leftovers(engine, find_leftovers(engine))
    assert "lost" not in "".join(find_leftovers(engine).lines())
    assert engine.volumes(f"{LAUNCH}=dead01") == []


OWNERS = {"alive": Owner.current(), "elsewhere": replace(lost_owner(), machine="another")}


@pytest.mark.parametrize("owner", OWNERS.values(), ids=OWNERS)
def test_the_living_and_the_foreign_are_left_alone(engine: Engine, owner: Owner) -> None:
    """S11: a live launch, and one of another machine on the same engine, are nobody's leftovers."""
    mark = mark_of(owner, "alive1")
    network = engine.create_network("claude-bottle-internal-alive", "10.213.252.0/29", {}, mark.labels("network"))
    try:
        body = agent_body(BASE, "alive", Segment(network, IPv4Network("10.213.252.0/29")), DockerSection(), mark, None)
        container = engine.create("claude-bottle-alive", {**body, "Entrypoint": ["sleep"], "Cmd": ["60"]})
        engine.start(container)
        assert "alive" not in "".join(find_leftovers(engine).lines())
        found = [bottle.name for bottle in find_bottles(engine)]
        assert ("claude-bottle-alive" in found) == (owner == Owner.current())
    finally:
        sweep(engine, "alive1")


@contextmanager
def relay(address: Address, path: Path) -> Generator[threading.Event]:
    """Stand between a client and the engine, until the event is set: then every connection breaks."""
    cut = threading.Event()
    pairs: list[socket.socket] = []

    def pump(one: socket.socket, two: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                two.sendall(data)
            two.shutdown(socket.SHUT_WR)

    def accept(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = server.accept()
                pairs.append(near)
                if cut.is_set():
                    near.close()
                    continue
                far = socket.socket(socket.AF_UNIX)
                pairs.append(far)
                far.connect(address.socket or "")
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    def break_all() -> None:
        cut.wait()
        for it in pairs:
            with suppress(OSError):
                it.shutdown(socket.SHUT_RDWR)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=accept, args=(server,), daemon=True).start()
        breaker = threading.Thread(target=break_all, daemon=True)
        breaker.start()
        yield cut
        cut.set()
        breaker.join()
        server.shutdown(socket.SHUT_RDWR)
    for it in pairs:
        it.close()


def test_an_engine_that_dies_on_the_way_is_told(
    engine: Engine, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launch fails with that, and what could not be removed is found once the engine answers again."""
    with relay(engine.address, tmp_path / "engine") as cut:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'engine'}")
        launched = start(slug="cut")
        cut.set()
        with pytest.raises(UnavailableError, match="does not answer"):
            launched.site.close()
        with pytest.raises(UnavailableError, match=r"does not answer|broke off"):
            launched.bottle.exec("true")
        assert launched.sidecar.wait(5) == 255
    assert len(engine.containers(f"{LAUNCH}={launched.label}")) == 2
    launched.site._engine = engine
    sweep(engine, launched.label)


def test_a_failure_half_way_is_swept(engine: Engine, open_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made beside that which failed goes too."""

    def fails(*_: object) -> None:
        raise LaunchError("on purpose")

    monkeypatch.setattr(site, "read_trust", fails)
    opened, _, label = open_site(slug="half")
    with pytest.raises(LaunchError, match="on purpose"):
        opened.start({})
    opened.close()
    assert engine.containers(f"{LAUNCH}={label}") == []
    assert engine.networks(f"{LAUNCH}={label}") == []


def test_an_engine_on_another_machine_is_told() -> None:
    """The check of the machine says whose host it is, and how isolation is proved there."""
    findings = judge(Address("tcp://192.0.2.9:2375", "DOCKER_HOST"), HERE, {**INFO, "Name": "far"})
    (finding,) = [it for it in findings if it.what == "host of the engine"]
    assert finding.ok
    assert "it is far" in str(finding.detail)


@pytest.mark.parametrize(
    ("version", "info", "what"),
    [
        ({"ApiVersion": "1.39"}, {}, "too old"),
        ({"Os": "windows"}, {}, "no Linux containers"),
        ({}, {"SecurityOptions": []}, "would not be isolated"),
    ],
)
def test_an_engine_that_cannot_hold_a_bottle_is_refused(
    version: dict[str, Any], info: dict[str, Any], what: str
) -> None:
    """Each with what is wrong, and a cure."""
    findings = judge(Address("unix:///x", "x"), {**HERE, **version}, {**INFO, **info})
    (wrong,) = [it for it in findings if not it.ok]
    assert what in wrong.detail
    assert wrong.cure
    assert all(it.ok for it in judge(Address("unix:///x", "x"), HERE, INFO))
