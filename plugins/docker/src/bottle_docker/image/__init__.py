"""The agent's image as a recipe."""

import base64
from collections.abc import Iterator, Sequence
from importlib import resources
from shlex import quote

from claude_bottle.seam.environ import BIN, PLACE
from claude_bottle.seam.part import Package, Program
from claude_bottle.seam.sidecar import Recipe
from claude_bottle.seam.trust import read_bundle

__all__ = ["agent_recipe", "chosen_recipe"]

NAME = "claude-bottle-agent"

CLOSING = r"""
# Last, for what comes before needs names. One that nobody knows fails at once: a bottle's resolver is its proxy.
RUN sed -i '/^hosts:/d' /etc/nsswitch.conf; echo 'hosts: files' >>/etc/nsswitch.conf
"""

CHOSEN = "claude-bottle-chosen"

# What fetches is left behind: the image has neither npm nor the archive. Nothing of a package is run on the way.
FETCHING = r"""FROM debian:bookworm-slim AS programs
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates npm
COPY authorities.pem /build/
ENV NODE_EXTRA_CA_CERTS=/build/authorities.pem
"""


def chosen_recipe(image_id: str, programs: Sequence[Program] = ()) -> Recipe:
    """Return the recipe of an image that somebody else made, with the two folders in which an agent writes."""
    folders = "/home/agent /workspace"
    steps = f"FROM {image_id}\nUSER root\nRUN mkdir -p {folders} && chown 1000:1000 {folders}\n"
    return _recipe(CHOSEN, steps, programs)


def agent_recipe(install: Sequence[str], programs: Sequence[Program] = ()) -> Recipe:
    """Return the recipe of an agent's image: the packaged base, and what the agent's plugin wants put in."""
    base = resources.files(__name__).joinpath("Containerfile").read_text(encoding="utf-8")
    steps = base + "".join(f"RUN {command}\n" for command in install)
    return _recipe(NAME, steps, programs, CLOSING)


def _recipe(name: str, steps: str, programs: Sequence[Program], closing: str = "") -> Recipe:
    if not programs:
        return Recipe(name=name, containerfile=steps + closing)
    fetching = FETCHING + "".join(f"RUN {script}\n" for program in programs for script in _fetch(program))
    copying = f"COPY --from=programs {PLACE} {PLACE}\n"
    return Recipe(name=name, containerfile=fetching + steps + copying + closing, authorities=read_bundle(()))


def _fetch(program: Program) -> Iterator[str]:
    """Yield commands that put a program into PLACE: fetched, checked as the plan says, unpacked, linked."""
    folder = f"{PLACE}/{program.name}"
    choices = " ".join(
        f"{package.machine or '*'}) what={quote(f'{package.name}@{package.version}')} is={_digest(package)} ;;"
        for package in program.packages
    )
    yield (
        f"mkdir -p {folder} {BIN} /build/{program.name} && cd /build/{program.name} "
        f'&& case "$(uname -m)" in {choices} '
        f'*) echo "there is no {program.name} for $(uname -m)" >&2; exit 1 ;; esac '
        '&& npm pack --silent --ignore-scripts "$what" >/dev/null '
        '&& { [ -z "$is" ] || printf "%s  %s\\n" "$is" *.tgz | sha512sum --check --quiet -; } '
        f"&& tar -xzf *.tgz -C {folder} --strip-components=1 --no-same-owner && rm *.tgz"
    )
    for command, file in program.commands:
        yield f"test -x {folder}/{quote(file)} && ln -s {folder}/{quote(file)} {BIN}/{quote(command)}"


def _digest(package: Package) -> str:
    """Return what `sha512sum` would print of a package's archive; empty where the registry's word is taken."""
    value = package.integrity.removeprefix("sha512-")
    return base64.b64decode(value, validate=True).hex() if value else "''"
