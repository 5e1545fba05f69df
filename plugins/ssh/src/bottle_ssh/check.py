"""What is said of a manifest's SSH entries before anything starts: problems, questions, and lines of the preflight."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bottle_ssh.keys import Identity, find_identity
from bottle_ssh.known import HostKeys, find_host_keys, host_text, known_files
from claude_bottle.errors import Problem
from claude_bottle.manifest.types import Ssh
from claude_bottle.plan.spec import BottleSpec

__all__ = ["AGENT_VARIABLE", "identities", "is_inside", "lines", "problems", "questions"]

AGENT_VARIABLE = "SSH_AUTH_SOCK"
INSIDE = "an ssh-agent inside, as root, since this backend carries no socket; signatures are not on record"
PROGRAMS = ("ssh-add", "ssh-agent", "ssh-keygen")


def problems(spec: BottleSpec) -> list[Problem]:
    """Return everything that would make a launch fail."""
    found: list[Problem] = []
    where = f"bottles.{spec.bottle}.ssh"
    traits = spec.backend_traits
    if traits is not None and not traits.unix and not traits.root:
        name = spec.backend.name
        message = (
            f"backend {name} cannot carry a socket into a bottle, nor has it root there, so no key can be used in it"
        )
        found.append(Problem(message, "choose another backend, or remove the entries", where))
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        return [*found, Problem(f"{', '.join(missing)}: not on this machine", "install OpenSSH's client", where)]
    files = known_files(Path.home())
    for number, entry in enumerate(spec.ssh):
        found += _of_entry(entry, files, f"{where}.{number}", inside=is_inside(spec))
    return found


def is_inside(spec: BottleSpec) -> bool:
    """Say whether the keys go to an agent of root's own inside: where no socket leads to one outside."""
    traits = spec.backend_traits
    return traits is not None and traits.root and not traits.unix


def _of_entry(entry: Ssh, files: Sequence[Path], where: str, *, inside: bool) -> Iterator[Problem]:
    identity = find_identity(Path(entry.identity_file))
    if isinstance(identity, Problem):
        yield Problem(identity.message, identity.hint, f"{where}.identity_file")
    elif identity.with_agent and inside:
        message = f"{identity.path} is a key in your own ssh-agent, which nothing in this backend's bottles can reach"
        yield Problem(message, "name the private key, or choose another backend", f"{where}.identity_file")
    elif identity.with_agent and (problem := agent_problem(identity)) is not None:
        yield Problem(problem.message, problem.hint, f"{where}.identity_file")
    known = find_host_keys(entry.host, entry.port, files)
    if not known.keys and not known.authorities:
        yield Problem(f"no key of {host_text(entry.host, entry.port)} is in your known_hosts", cure(entry), where)
    elif not known.keys and isinstance(identity, Identity) and identity.with_agent:
        message = f"{entry.host} is known by a certificate alone, which does not do for a key in your own ssh-agent"
        yield Problem(message, f"add its own key too: {cure(entry)}", where)


def cure(entry: Ssh) -> str:
    """Return how to get a host's key, and that it must be compared."""
    text, port = host_text(entry.host, entry.port), "" if entry.port == 22 else f"-p {entry.port} "  # noqa: PLR2004 - SSH's own
    return (
        f"ssh-keyscan {port}{entry.host} >> ~/.ssh/known_hosts, then compare `ssh-keygen -l -F '{text}'` "
        "with the fingerprint that its owner publishes"
    )


def agent_problem(identity: Identity) -> Problem | None:
    """Return why the user's own ssh-agent is of no use for a key; None if it has it."""
    from bottle_ssh.agent import dial  # noqa: PLC0415 - most keys are files
    from bottle_ssh.wire import list_keys  # noqa: PLC0415 - as above

    path = identity.path
    at = os.environ.get(AGENT_VARIABLE)
    if not at:
        message = f"{path} is a public key, and there is no ssh-agent of yours that could have the private one"
        return Problem(message, f"start one, or name the private key; {AGENT_VARIABLE} is not set")
    try:
        with dial(Path(at)) as connection:
            connection.settimeout(5)
            there = set(list_keys(connection))
    except (OSError, ValueError) as error:
        return Problem(f"your ssh-agent does not answer: {error}", f"see {AGENT_VARIABLE}")
    if not identity.public & there:
        return Problem(f"your ssh-agent does not have the key {path}", "ssh-add the private key, or ssh-add -s TOKEN")
    return None


def identities(entries: Sequence[Ssh]) -> Mapping[str, Identity]:
    """Return each key that can be had, by the path that the entries have for it."""
    found = {entry.identity_file: find_identity(Path(entry.identity_file)) for entry in entries}
    return {path: it for path, it in found.items() if isinstance(it, Identity)}


def questions(entries: Sequence[Ssh]) -> Iterator[tuple[str, str]]:
    """Yield name and question for each key that has a passphrase."""
    for path, identity in identities(entries).items():
        if identity.encrypted:
            yield path, f"Passphrase of {path}"


def lines(entries: Sequence[Ssh], *, inside: bool) -> Iterator[tuple[str, str]]:
    """Yield for each entry which key it uses, and who holds it: the agent's own user never does."""
    found = identities(entries)
    ours = INSIDE if inside else "an ssh-agent outside, for this bottle alone"
    for entry in entries:
        own = entry.identity_file in found and found[entry.identity_file].with_agent
        holder = "your own ssh-agent" if own else ours
        name = Path(entry.identity_file).name
        yield "ssh keys", f"{name} for {entry.user}@{entry.host}:{entry.port} (held by {holder})"


def known(entry: Ssh) -> HostKeys:
    """Return what this user knows of an entry's host."""
    return find_host_keys(entry.host, entry.port, known_files(Path.home()))
