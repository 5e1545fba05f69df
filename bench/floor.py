"""What a page through a bottle costs an engine at the least: the same calls, and nothing around them.

`floor.py PROXY FOLDER ADDRESS PORT`: two networks, two containers with the same settings and files, the same proof and
commands, and their removal, as bare calls of the SDK in one process, side by side where one does not need another.
Prints what curl printed.
"""

import os
import shlex
import socket
import sys
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from ipaddress import IPv4Network
from itertools import islice
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError
from msgspec import json

from bottle_docker.archive import pack_archive
from bottle_docker.containers import agent_body, proxy_body
from bottle_docker.image import agent_recipe
from bottle_docker.images import tag_of
from bottle_docker.labels import Mark
from bottle_docker.look import Control, least, look_argv, look_input
from bottle_docker.networks import Segment
from bottle_docker.section import DockerSection
from bottle_docker.sidecar import ROOT, archive_of
from bottle_docker.subnets import free_subnets
from bottle_mitmproxy.plugin import PLUGIN as MITMPROXY
from bottle_pipelock.plugin import PLUGIN as PIPELOCK
from bottle_pipelock.section import PipelockSection
from bottle_pipelock.start import CERTIFICATE
from claude_bottle.declare import NoSection
from claude_bottle.plan.plan import EgressPlan, Plan
from claude_bottle.plan.spec import Choice, Upstream
from claude_bottle.seam.bottle import Dial
from claude_bottle.seam.environ import BUNDLE, CA_FILE
from claude_bottle.seam.levels import HostRule
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import Recipe, SidecarSpec
from claude_bottle.seam.traits import Listen
from claude_bottle.seam.witness import open_witness, own_addresses

HOST = "page.example.com"
AGENT = "1000:1000"
REFUSED = b"CONNECT floor.invalid:443 HTTP/1.1\r\nHost: floor.invalid:443\r\n\r\n"


class Site:
    """Takes down what a proxy would run."""

    runs, root, listen = "image", ROOT, Listen("tcp", "proxy", 3128)
    spec: SidecarSpec

    def run(self, spec: SidecarSpec) -> Any:
        """Keep it."""
        self.spec = spec


def described(proxy: str, folder: Path, place: str) -> SidecarSpec:
    """Return the sidecar of a bottle's plan."""
    plan = Plan(
        agent="floor",
        bottle="bench",
        slug="floor",
        agent_plugin="shell",
        backend=Choice("docker", "flag"),
        proxy=Choice(proxy, "flag"),
        egress=EgressPlan(
            rules=(HostRule(host=HOST, level="block", plain="block", why="dlp_action"),),
            dlp_action="block",
            private_addresses=(f"{place.rpartition(':')[0]}/32",),
            upstream=Upstream(ca=(str(folder / "authority.pem"),), hosts=((HOST, place),)),
        ),
        argv=("true",),
        sections=((proxy, PipelockSection() if proxy == "pipelock" else NoSection()),),
    )
    plugin: Any = {"mitmproxy": MITMPROXY, "pipelock": PIPELOCK}[proxy].impl
    site = Site()
    plugin.start_proxy(plan, site, Secrets(), None)
    return site.spec


def main(proxy: str, folder: Path, place: str) -> None:
    """Go up, fetch the page, and go down."""
    client: Any = docker.from_env(version="auto").api
    spec = described(proxy, folder, place)
    mark = Mark.of(Launch(label=os.urandom(8).hex(), owner=Owner.current()), "bench", "floor")
    one, two = islice(free_subnets(IPv4Network("10.214.0.0/16"), map(IPv4Network, taken(client))), 2)
    with ThreadPoolExecutor(6) as pool:
        outside = pool.submit(network, client, two, {}, mark)
        inside = pool.submit(network, client, one, {"com.docker.network.bridge.inhibit_ipv4": "true"}, mark)
        agent = pool.submit(start_agent, client, inside, mark)
        sidecar = pool.submit(start_proxy, client, spec, inside, outside, mark)
        name = agent.result()
        beside = sidecar.result()
        seen = pool.submit(look_outside, client, name, outside.result())
        ca = wait_ready(client, beside, spec, proxy)
        refused = pool.submit(look, client, name, [Dial("proxy", 3128, REFUSED)], [])
        for path, data in ((CA_FILE, ca), (BUNDLE, Path(BUNDLE).read_bytes() + ca)):
            client.put_archive(name, path.rpartition("/")[0], pack_archive([(path.rpartition("/")[2], data, 0o644, 0)]))
        seen.result()
        refused.result()
        run(client, name, "mkdir -p ~/.bottle && : >~/.bottle/prompt.md")
        page = run(client, name, f"curl -sS --fail https://{HOST}/")
        going = [pool.submit(client.remove_container, it, v=True, force=True) for it in (name, beside)]
        for gone in [pool.submit(leave, client, it.result().network, going) for it in (inside, outside)]:
            gone.result()
    sys.stdout.buffer.write(page)


def taken(client: Any) -> list[str]:
    """Return the engine's subnets."""
    return [pool["Subnet"] for it in client.networks() for pool in it["IPAM"]["Config"] or () if "." in pool["Subnet"]]


def network(client: Any, subnet: IPv4Network, options: dict[str, str], mark: Mark) -> Segment:
    """Make a network."""
    ipam = {"Driver": "default", "Config": [{"Subnet": str(subnet)}]}
    labels, internal = mark.labels("network"), bool(options)
    made = client.create_network(
        f"floor-{mark.launch}-{internal}", driver="bridge", options=options, ipam=ipam, internal=internal, labels=labels
    )
    return Segment(made["Id"], subnet)


def start_agent(client: Any, inside: "Future[Segment]", mark: Mark) -> str:
    """Start the agent's container; its first process waits, as with `--detach`."""
    body = agent_body(tag_of(agent_recipe(())), "floor", inside.result(), DockerSection(), mark, None)
    made = client.create_container_from_config({**body, "Cmd": ["exec sleep infinity"]}, f"floor-{mark.launch}")["Id"]
    client.start(made)
    return made


def start_proxy(
    client: Any, spec: SidecarSpec, inside: "Future[Segment]", outside: "Future[Segment]", mark: Mark
) -> str:
    """Start the proxy's container."""
    image = tag_of(spec.image) if isinstance(spec.image, Recipe) else str(spec.image)
    body = proxy_body(image, spec, outside.result(), mark)
    host: Any = body["HostConfig"]
    # An SDK has no other way to read what it says.
    log: dict[str, Any] = {**host, "LogConfig": {"Type": "json-file", "Config": {}}}
    made = client.create_container_from_config({**body, "HostConfig": log}, f"floor-proxy-{mark.launch}")["Id"]
    client.put_archive(made, ROOT, archive_of(spec.files, spec.folders))
    client.connect_container_to_network(made, inside.result().network, ipv4_address=inside.result().proxy)
    client.start(made)
    return made


def wait_ready(client: Any, sidecar: str, spec: SidecarSpec, proxy: str) -> bytes:
    """Wait until the proxy serves, and return its authority's certificate."""
    if proxy == "pipelock":
        while True:
            probe = client.exec_create(sidecar, list(spec.ready))["Id"]
            client.exec_start(probe)
            if client.exec_inspect(probe)["ExitCode"] == 0:
                return next(file.data for file in spec.files if file.name == CERTIFICATE)
    for line in client.logs(sidecar, stdout=True, stderr=False, stream=True, follow=True):
        found = json.decode(line, type=dict[str, Any])
        if found.get("ready"):
            return found["ca"].encode()
    raise RuntimeError("the proxy ended")


def look_outside(client: Any, agent: str, outside: Segment) -> None:
    """Dial this machine as a launch does."""
    with open_witness([(socket.AF_INET, outside.gateway), *own_addresses()]) as witnesses:
        look(client, agent, [Dial(*it) for it in witnesses], [os.uname().nodename])


def look(client: Any, agent: str, dials: list[Dial], names: list[str]) -> None:
    """Look around in the container."""
    lines = shlex.join(look_input(dials, names, Control("proxy", least(names))).decode().splitlines())
    run(client, agent, f"printf '%s\\n' {lines} | {shlex.join(look_argv())}")


def leave(client: Any, network: str, going: list[Future[None]]) -> None:
    """Remove a network once its containers have ended."""
    while not all(it.done() for it in going):
        if not client.inspect_network(network)["Containers"]:
            with suppress(APIError):  # it is being left
                client.remove_network(network)
                return
        wait(going, 0.03)
    client.remove_network(network)


def run(client: Any, container: str, script: str) -> bytes:
    """Run a script, which must end well, and return what it printed."""
    made = client.exec_create(container, ["/bin/sh", "-c", script], user=AGENT)["Id"]
    printed: bytes = client.exec_start(made)
    if client.exec_inspect(made)["ExitCode"] != 0:
        raise RuntimeError(f"{script[:40]}: {printed[-500:]!r}")
    return printed


main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
