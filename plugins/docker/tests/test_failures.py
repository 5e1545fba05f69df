"""What goes wrong on an engine, and what is said and left then."""

import os
from ipaddress import IPv4Network
from typing import Any

import pytest
from msgspec.structs import replace

from bottle_docker import networks, site
from bottle_docker.address import Address
from bottle_docker.containers import agent_body
from bottle_docker.engine import Engine
from bottle_docker.labels import LAUNCH, Mark
from bottle_docker.leftover import find_bottles, find_leftovers, remove_leftovers
from bottle_docker.networks import Segment, make_network
from bottle_docker.probe import judge
from bottle_docker.section import DockerSection
from bottle_docker.site import sweep
from claude_bottle.errors import ImageError, LaunchError, NameTakenError
from claude_bottle.seam.owner import Owner

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


def test_a_route_of_this_machine_is_no_subnet(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that it reaches otherwise, a VPN's, stays within its reach."""
    monkeypatch.setattr(site, "host_routes", lambda: [IPv4Network("10.213.255.224/30")])
    with pytest.raises(LaunchError, match=r"no subnet of 10\.213\.255\.224/28 is free"):
        start(DockerSection(subnets="10.213.255.224/28"), "routed")


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
    pool, labels = IPv4Network("10.99.251.0/28"), mark_of(Owner.current(), "5ab6").labels("network")
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


def test_a_network_that_somebody_else_joined_is_told_and_the_rest_goes(start: Any, engine: Engine) -> None:
    """And it goes, too, once they have left."""
    bottle = start(slug="joined").bottle
    label = f"{LAUNCH}={bottle.launch}"
    (inside,) = (it for it in engine.networks(label) if "internal" in it.name)
    body = {"Image": BASE, "Cmd": ["sleep", "60"], "HostConfig": {"NetworkMode": inside.id}}
    guest = engine.create(f"guest-of-{bottle.name}", body)
    try:
        engine.start(guest)
        with pytest.raises(LaunchError, match="has active endpoints"):
            bottle.stop()
        assert not engine.containers(label)
        assert [it.id for it in engine.networks(label)] == [inside.id]
    finally:
        engine.remove(guest)
    bottle.stop()
    assert not engine.networks(label)


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
