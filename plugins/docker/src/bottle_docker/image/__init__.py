"""The agent's image as a recipe."""

import base64
import os
from collections.abc import Sequence
from importlib import resources
from shlex import quote

from bottle_docker.images import tag_of
from bottle_docker.labels import AGENT
from claude_bottle.errors import LaunchError
from claude_bottle.seam.environ import BIN, PLACE
from claude_bottle.seam.part import Package, Program
from claude_bottle.seam.sidecar import Recipe
from claude_bottle.seam.trust import read_bundle

__all__ = ["agent_recipe", "chosen_recipe", "fetcher_recipe", "host_user"]

NAME = "claude-bottle-agent"

CLOSING = r"""
# Last, for what comes before needs names. One that nobody knows fails at once: a bottle's resolver is its proxy.
RUN sed -i '/^hosts:/d' /etc/nsswitch.conf; echo 'hosts: files' >>/etc/nsswitch.conf
"""

CHOSEN = "claude-bottle-chosen"

FETCHER = "claude-bottle-npm"

FETCHING = r"""# What fetches agents' programs for their images, none of which has npm or an archive in it.
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates npm \
 && rm -rf /var/lib/apt/lists/*
COPY authorities.pem /build/
ENV NODE_EXTRA_CA_CERTS=/build/authorities.pem
"""


def fetcher_recipe() -> Recipe:
    """Return the recipe of the image with npm, from which the images of agents with programs are built."""
    return Recipe(name=FETCHER, containerfile=FETCHING, authorities=read_bundle(()))


def host_user() -> str:
    """Return who launches, as `UID:GID`: the agent, where a folder is bound, who is never root."""
    if os.getuid() == 0:
        raise LaunchError("root cannot bind a folder: no agent may have root's own uid")
    return f"{os.getuid()}:{os.getgid()}"


def chosen_recipe(image_id: str, programs: Sequence[Program] = (), user: str = AGENT) -> Recipe:
    """Return the recipe of an image that somebody else made, with the two folders in which an agent writes."""
    folders = "/home/agent /workspace"
    steps = f"FROM {image_id}\nUSER root\nRUN mkdir -p {folders} && chown {user} {folders}\n"
    return _recipe(CHOSEN, steps, programs)


def agent_recipe(install: Sequence[str], programs: Sequence[Program] = (), user: str = AGENT) -> Recipe:
    """Return the recipe of an agent's image: the packaged base, what the agent's plugin wants put in, its `UID:GID`."""
    base = resources.files(__name__).joinpath("Containerfile").read_text(encoding="utf-8")
    steps = base + "".join(f"RUN {command}\n" for command in install)
    return _recipe(NAME, steps, programs, CLOSING if user == AGENT else renumbered(user) + CLOSING)


def renumbered(user: str) -> str:
    """Return a step that gives the agent's account another `UID:GID`, which the image may have already."""
    uid, _, gid = user.partition(":")
    group, account = f"groupmod --non-unique --gid {gid} agent", f"usermod --non-unique --uid {uid} --gid {gid} agent"
    return f"RUN {group} && {account} && chown -R agent:agent /home/agent /workspace\n"


def _recipe(name: str, steps: str, programs: Sequence[Program], closing: str = "") -> Recipe:
    if not programs:
        return Recipe(name=name, containerfile=steps + closing)
    fetching = f"FROM {tag_of(fetcher_recipe())} AS programs\n" + "".join(f"RUN {fetch(it)}\n" for it in programs)
    copying = f"COPY --from=programs {PLACE} {PLACE}\n"
    return Recipe(name=name, containerfile=fetching + steps + copying + closing)


def fetch(program: Program) -> str:
    """Return a command that puts a program into PLACE: fetched, checked as the plan says, unpacked, linked.

    Nothing of the package is run on the way.
    """
    folder = f"{PLACE}/{program.name}"
    machines = "|".join(package.machine or "any" for package in program.packages)
    cases = " ".join(f"{package.machine or '*'}) {_install(package, folder)} ;;" for package in program.packages)
    missing = f'echo "there is no {program.name} for $(uname -m), but for {machines}" >&2; exit 1'
    return (
        f"mkdir -p {folder} {BIN} /build/{program.name} && cd /build/{program.name} "
        f'&& case "$(uname -m)" in {cases} *) {missing} ;; esac'
    )


def _install(package: Package, folder: str) -> str:
    steps = [f"npm pack --silent --ignore-scripts {quote(f'{package.name}@{package.version}')} >/dev/null"]
    if package.integrity:
        digest = base64.b64decode(package.integrity.removeprefix("sha512-"), validate=True).hex()
        steps.append(f'printf "%s  %s\\n" {digest} *.tgz | sha512sum --check --quiet -')
    steps.append(f"tar -xzf *.tgz -C {folder} --strip-components=1 --no-same-owner && rm *.tgz")
    for command, file in package.commands:
        steps.append(f"test -x {folder}/{quote(file)} && ln -s {folder}/{quote(file)} {BIN}/{quote(command)}")
    return " && ".join(steps)
