"""Images from recipes: the same recipe is the same image, and another one is another."""

import io
import tarfile
from ipaddress import IPv4Network
from operator import itemgetter
from threading import Event
from typing import Any

import pytest
from msgspec.structs import replace

from bottle_docker.containers import agent_body, proxy_body
from bottle_docker.cures import explained
from bottle_docker.image import agent_recipe
from bottle_docker.images import context_of, labelled, shortened, tag_of
from bottle_docker.labels import BUILD, BUILDER, Mark, builder
from bottle_docker.locks import locked
from bottle_docker.networks import Segment
from bottle_docker.section import DockerSection
from claude_bottle.errors import LaunchError
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.sidecar import File, Recipe, SidecarSpec

RECIPE = Recipe(name="it", containerfile="FROM a AS one\nRUN x\nFROM b\n", files=(File("f", b"1"), File("g", b"2")))


@pytest.mark.parametrize(
    "other",
    [
        replace(RECIPE, containerfile="FROM a\n"),
        replace(RECIPE, files=RECIPE.files[:1]),
        replace(RECIPE, files=(File("f", b"2"), File("g", b"1"))),
        replace(RECIPE, files=(File("f", b"1", 0o755), File("g", b"2"))),
        replace(RECIPE, files=(File("fg", b"1"), File("g", b"2"))),
    ],
)
def test_every_input_is_in_the_tag(other: Recipe) -> None:
    """A recipe that changed is never served by an image of the old one."""
    assert tag_of(other) != tag_of(RECIPE)


def test_the_order_of_files_and_what_a_machine_trusts_are_not() -> None:
    """So that two machines have the same tag for the same image."""
    assert tag_of(replace(RECIPE, files=RECIPE.files[::-1], authorities=b"PEM")) == tag_of(RECIPE)


def test_each_stage_carries_the_label_first() -> None:
    """By it the layers of a build that was broken off are found."""
    lines = labelled(RECIPE).splitlines()
    label = f"LABEL {BUILD}={tag_of(RECIPE).partition(':')[2]} {BUILDER}={builder()}"
    assert lines == ["FROM a AS one", label, "RUN x", "FROM b", label]


def test_the_folder_of_a_build_is_whole() -> None:
    """What the recipe has, what this machine trusts, and the steps."""
    with tarfile.open(fileobj=io.BytesIO(context_of(replace(RECIPE, authorities=b"PEM")))) as tar:
        assert sorted(tar.getnames()) == ["Dockerfile", "authorities.pem", "f", "g"]


def test_names_are_closed_last() -> None:
    """What the agent's plugin installs needs them; without it an unknown name would take twenty seconds."""
    text = agent_recipe(("install-it",)).containerfile
    assert text.index("RUN install-it") < text.index("hosts: files")
    assert tag_of(agent_recipe(("install-it",))) != tag_of(agent_recipe(()))


def test_one_at_a_time_builds_an_image() -> None:
    """The second waits, and gives up once its launch ends."""
    ended = Event()
    with locked("0123"):
        with pytest.raises(BlockingIOError), locked("0123"):
            pass
        ended.set()
        with pytest.raises(LaunchError, match="given up"), locked("0123", ended):
            pass
    with locked("0123"):
        pass


def test_a_step_is_one_line_of_a_terminal() -> None:
    """However long the command is."""
    assert shortened("Step 1/2 : RUN  a \\\n  && b") == "Step 1/2 : RUN a \\ && b"
    assert len(shortened("x" * 500)) == 90


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ("write /var/lib/docker/tmp: no space left on device", "docker system prune"),
        ("Unknown runtime specified runsc", "daemon.json"),
        ('exec: "docker-init": executable file not found in $PATH', "tini"),
    ],
)
def test_the_cure_is_named_where_one_is_known(words: str, cure: str) -> None:
    """The engine's own words stay."""
    message, hint = explained(words)
    assert words in message
    assert cure in str(hint)
    assert explained("something else")[1] is None


def test_the_containers_hold_what_is_promised() -> None:
    """K1, F7: no capability, no new privilege, limits, a read-only root; no mount of the host's and no port."""
    mark = Mark.of(Launch(label="0a1b", owner=Owner.current()), "dev", "reviewer")
    segment = Segment("net", IPv4Network("10.213.0.0/29"))
    agent = agent_body("image", "name", segment, DockerSection(), mark, "runsc")
    proxy = proxy_body("image", SidecarSpec(argv=("/it", "run")), segment, mark)
    for body in (agent, proxy):
        host: Any = body["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["ReadonlyRootfs"] is True
        assert host["LogConfig"]["Type"] == "none"
        assert host["Memory"] == host["MemorySwap"] > 0
        assert host["PidsLimit"] > 0
        assert set(map(itemgetter("Type"), host["Mounts"])) == {"volume"}
        assert not {"Binds", "Privileged", "PortBindings", "Devices", "PidMode"} & host.keys()
    assert (agent["User"], proxy["User"]) == ("1000:1000", "65534:65534")
    host = agent["HostConfig"]
    assert host["Runtime"] == "runsc"
    assert host["Dns"] == ["127.0.0.1"]
