"""A plugin's answer to `resolve_plan`: its share of the plan."""

from typing import Generic, TypeVar

from msgspec import Struct

from claude_bottle.seam.levels import HostRule, HostWish

__all__ = ["Part"]

S_co = TypeVar("S_co", bound=Struct, covariant=True)


class Part(Struct, Generic[S_co], frozen=True, kw_only=True):
    """What one plugin adds to the plan. Everything in it is printable: no secrets.

    `section`: its frozen, resolved settings. `hosts`: what it needs to reach.
    `rules`: a proxy's answer alone, one for every host that it was asked about.
    `argv`, `env`, `forward`: an agent's answer alone: the program, its literal variables, and the names
    of host variables that it is given where they are set (a login token). `prompt_option`: the words that
    stand before the path of the prompt's file, when there is a prompt.
    `install`: an agent's answer alone: commands of a POSIX shell, run as root with a network, that put its
    program into an image; a backend whose bottles have this machine's own programs passes over them.
    `questions`: a provisioner's answer alone: name and question of each secret that it needs itself, such as a
    passphrase. They are asked after the y/N, and their answers never enter the bottle.
    `resources`: names of what will be created, as candidates. `lines`: label and text for the preflight.
    """

    section: S_co
    hosts: tuple[HostWish, ...] = ()
    rules: tuple[HostRule, ...] | None = None
    argv: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    forward: tuple[str, ...] = ()
    prompt_option: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    questions: tuple[tuple[str, str], ...] = ()
    resources: tuple[str, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
