"""A plugin's answer to `resolve_plan`: its share of the plan."""

from typing import Generic, Literal, TypeVar

from msgspec import Struct

from claude_bottle.seam.levels import HostRule, HostWish

__all__ = ["ENOUGH", "HTTPS", "Credential", "Injection", "Mount", "Package", "Part", "Program"]

S_co = TypeVar("S_co", bound=Struct, covariant=True)


HTTPS = 443

ENOUGH = 12
"""Letters and digits of a credential that can be told from everything else that passes a proxy."""


class Package(Struct, frozen=True, kw_only=True):
    """One archive of the npm registry.

    `integrity` is in the registry's own form, `sha512-` and base64; empty: whatever the registry says it is.
    `machine` is the `uname -m` of what it runs on; empty: on everything. `commands`: names on the PATH inside, and
    for each the file of the archive that it is.
    """

    name: str
    version: str
    integrity: str = ""
    machine: str = ""
    commands: tuple[tuple[str, str], ...] = ()


class Program(Struct, frozen=True, kw_only=True):
    """A program that is put into a bottle, read-only, as one package has it: nothing of it is run for that.

    `packages`: one for each kind of machine. `source`: the package whose `latest` is the newest version. `size` in
    bytes of the archive, about. `host`: the absolute path of this machine's own executable, which is then the one
    command, and nothing is fetched. `fixed`: the user chose this very version, so no update takes its place.
    """

    name: str
    version: str = ""
    source: str = ""
    packages: tuple[Package, ...] = ()
    size: int = 0
    host: str = ""
    fixed: bool = False


class Mount(Struct, frozen=True, kw_only=True):
    """A folder or file of this machine at a place inside: the same bytes at the same moment on both sides.

    `source`: its absolute path, in which nothing is a link. `target`: the absolute path inside. Mounts are made in
    their order. Without `write` nobody inside can change, rename, remove or replace it.
    `make`: nothing is there, and nothing shall be: as long as the bottle runs, core keeps an empty folder there, or a
    file of `text`, and the mount is without `write`.
    """

    source: str
    target: str
    write: bool = False
    make: Literal["folder", "file"] | None = None
    text: str = ""


class Injection(Struct, frozen=True, kw_only=True):
    """A credential that the agent never holds: the proxy puts it into one header of one host's requests.

    `name`: the variable, which holds a placeholder inside. `header` is in lower case. `format` is the header's whole
    value, in which `{}` stands for the credential; what follows `Basic` is then sent in base64 if it is `USER:{}`.
    """

    name: str
    host: str
    port: int = HTTPS
    header: str
    format: str = "{}"


class Credential(Struct, frozen=True, kw_only=True):
    """A credential of an agent's program, such as a login token: the variable that it comes in, and whom it is for.

    `host`, `port`, `header` and `format` as in `Injection`. `prefix`: what every value begins with, by which one that
    was pasted is told from another. `what` it is in a few words, `how` to get one in a sentence, both for
    `bottle login`.
    """

    name: str
    host: str
    port: int = HTTPS
    header: str
    format: str = "{}"
    prefix: str = ""
    what: str = "a token"
    how: str = ""


class Part(Struct, Generic[S_co], frozen=True, kw_only=True):
    """What one plugin adds to the plan. Everything in it is printable: no secrets.

    `section`: its frozen, resolved settings. `hosts`: what it needs to reach.
    `rules`: a proxy's answer alone, one for every host that it was asked about.
    `argv`, `env`, `forward`: an agent's answer alone: the program, its literal variables, and the names
    of host variables that it is given where they are set (a login token). `prompt_option`: the words that
    stand before the path of the prompt's file, when there is a prompt.
    `credentials`: an agent's answer alone, in its order of preference: at most one is used. A proxy that can inject it
    gives the agent a placeholder, else it is forwarded.
    `programs`: an agent's answer alone: what is put into the bottle, the same way by every backend.
    `install`: an agent's answer alone: commands of a POSIX shell, run as root with a network, that add the
    system's packages to an image; a backend whose bottles have this machine's own passes over them.
    `memory`: bytes below which an agent's program does not work.
    `questions`: a provisioner's answer alone: name and question of each secret that it needs itself, such as a
    passphrase. They are asked after the y/N, and their answers never enter the bottle.
    `mounts`: a provisioner's answer alone: what of this machine is seen inside.
    `resources`: names of what will be created, as candidates. `lines`: label and text for the preflight.
    """

    section: S_co
    hosts: tuple[HostWish, ...] = ()
    rules: tuple[HostRule, ...] | None = None
    argv: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    forward: tuple[str, ...] = ()
    credentials: tuple[Credential, ...] = ()
    prompt_option: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    questions: tuple[tuple[str, str], ...] = ()
    programs: tuple[Program, ...] = ()
    mounts: tuple[Mount, ...] = ()
    memory: int = 0
    resources: tuple[str, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
